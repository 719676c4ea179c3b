// A real job: processes on this machine, or on others, count the words of all files below the paths: word_count PATH…
//
// It prints the 20 most frequent words, as COUNT WORD. `word_count --distwork-help` tells how slaves from elsewhere join:
// they must see the same files under the same names.

#include <algorithm>
#include <cereal/types/string.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cerrno>
#include <cstdint>
#include <distwork/program.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

using Counts = std::unordered_map<std::string, std::uint64_t>;

// What it throws reaches the loop below as the outcome of this file.
Counts count_words(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) throw std::system_error{errno, std::generic_category(), path};
    Counts counts;
    std::string word;
    for (std::istreambuf_iterator<char> byte{file}, end; byte != end; ++byte) {
        const int lower = *byte | 0x20;
        if (lower >= 'a' && lower <= 'z') word += static_cast<char>(lower);
        else if (!word.empty()) ++counts[std::exchange(word, {})];
    }
    if (!word.empty()) ++counts[word];
    return counts;
}
DISTWORK_REGISTER_FUNCTION(count_words)

// A generator: each call returns the next file, until there is none. As find does, it follows no links.
std::optional<std::string> next_file(std::vector<std::filesystem::path>& found) {
    while (!found.empty()) {
        const std::filesystem::path path = std::move(found.back());
        found.pop_back();
        std::error_code error;
        if (!std::filesystem::is_directory(path, error)) return path.string();
        std::filesystem::directory_iterator entry{path, error};
        for (; !error && entry != std::filesystem::directory_iterator{}; entry.increment(error))
            if (!entry->is_symlink() && (entry->is_directory() || entry->is_regular_file())) found.push_back(*entry);
        if (error) std::cerr << path.string() << ": " << error.message() << '\n';
    }
    return std::nullopt;
}

int main(int argc, char** argv) {
    distwork::Program program{argc, argv};  // a process that was started as a slave ends in here
    std::vector<std::filesystem::path> paths(argv + 1, argv + argc);

    // Files are looked for as slaves ask for them, while others are counted; small ones travel together.
    Counts total;
    int status = 0;
    for (auto& file : program.map<count_words>([&paths] { return next_file(paths); })) {
        try {
            for (const auto& [word, count] : file.value()) total[word] += count;
        } catch (const std::exception& error) {
            std::cerr << error.what() << '\n';
            status = 1;
        }
    }

    std::vector<std::pair<std::string, std::uint64_t>> words(std::min<std::size_t>(20, total.size()));
    std::partial_sort_copy(total.begin(), total.end(), words.begin(), words.end(), [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    for (const auto& [word, count] : words) std::cout << count << ' ' << word << '\n';
    return std::max(status, program.status());
}
