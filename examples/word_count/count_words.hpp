// What the master and the slaves of word_count share: the work that counts the words of some parts of files.
#pragma once

#include <cereal/types/string.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/vector.hpp>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <distwork.hpp>
#include <fstream>
#include <limits>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

using Counts = std::unordered_map<std::string, std::uint64_t>;

inline void add(Counts& sum, const Counts& counts) {
    for (const auto& [word, count] : counts) sum[word] += count;
}

/// A part of a file. A word belongs to the part in which it begins, so that each is counted once wherever files are
/// cut.
struct Part {
    static constexpr std::uint64_t to_the_end = std::numeric_limits<std::uint64_t>::max();

    std::string path;
    std::uint64_t begin = 0;
    std::uint64_t end = to_the_end;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(path, begin, end);
    }
};

/// Throws where the file cannot be read.
inline Counts count_words(const Part& part) {
    std::filebuf file;
    if (!file.open(part.path, std::ios::in | std::ios::binary)) throw std::system_error{errno, std::generic_category()};

    // The byte before tells whether a word that began before reaches into this part.
    std::uint64_t at = part.begin == 0 ? 0 : part.begin - 1;
    file.pubseekoff(static_cast<std::streamoff>(at), std::ios::beg);
    bool in_another_part = at < part.begin;

    Counts counts;
    std::string word;
    for (;; ++at) {
        const int byte = file.sbumpc();
        const int lower = byte | 0x20;
        if (byte != EOF && lower >= 'a' && lower <= 'z') {
            if (!in_another_part) word += static_cast<char>(lower);
            continue;
        }
        if (!word.empty()) ++counts[std::exchange(word, {})];
        in_another_part = false;
        if (byte == EOF || at + 1 >= part.end) return counts;
    }
}

/// What came of it, and what could not be read: path and reason.
struct Counted {
    Counts counts;
    std::vector<std::pair<std::string, std::string>> unreadable;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(counts, unreadable);
    }
};

class CountWords : public distwork::RpcWork<Counted> {
public:
    CountWords() = default;
    explicit CountWords(std::vector<Part> parts) : parts_{std::move(parts)} {}

    Counted execute_work(distwork::Context&) override {
        Counted counted;
        for (const Part& part : parts_) try {
                add(counted.counts, count_words(part));
            } catch (const std::exception& error) {
                counted.unreadable.emplace_back(part.path, error.what());
            }
        return counted;
    }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(parts_);
    }

private:
    std::vector<Part> parts_;
};
DISTWORK_REGISTER_WORK(CountWords)
