// How the files below some paths become works: small ones share one, large ones are cut into several.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "count_words.hpp"

/// Gathers parts until they make a work of about a MiB, then hands it to `take(CountWords)`.
template <class Take>
class Parts {
public:
    explicit Parts(Take take) : take_{std::move(take)} {}

    /// A file, or all files below a folder. What cannot be looked at is named and skipped.
    void add(const std::filesystem::path& path) {
        std::error_code error;
        if (std::filesystem::is_directory(path, error)) add_folder(path);
        else if (error) skip(path, error);
        else add_file(path);
    }

    /// The last work, which may be smaller.
    void flush() {
        if (!parts_.empty()) take_(CountWords{std::exchange(parts_, {})});
        cost_ = 0;
    }

private:
    static constexpr std::uint64_t work_bytes = 1024 * 1024;
    static constexpr std::uint64_t opening_cost = 4 * 1024;  // is worth reading so many bytes

    static void skip(const std::filesystem::path& path, std::error_code error) {
        std::cerr << path.string() << ": " << error.message() << ", skipped\n";
    }

    /// As find does, it follows no links.
    void add_folder(const std::filesystem::path& folder) {
        std::error_code error;
        std::filesystem::directory_iterator entry{folder, error};
        for (; !error && entry != std::filesystem::directory_iterator{}; entry.increment(error)) {
            const auto type = entry->symlink_status(error).type();
            if (error) skip(entry->path(), std::exchange(error, {}));
            else if (type == std::filesystem::file_type::directory) add_folder(entry->path());
            else if (type == std::filesystem::file_type::regular) add_file(entry->path());
        }
        if (error) skip(folder, error);
    }

    void add_file(const std::filesystem::path& path) {
        std::error_code error;
        const std::uint64_t size = std::filesystem::file_size(path, error);
        if (error) return skip(path, error);
        std::uint64_t begin = 0;
        for (; size - begin > work_bytes; begin += work_bytes) add_part({path.string(), begin, begin + work_bytes});
        add_part({path.string(), begin, Part::to_the_end}, size - begin);
    }

    void add_part(Part part, std::uint64_t bytes = work_bytes) {
        parts_.push_back(std::move(part));
        cost_ += bytes + opening_cost;
        if (cost_ >= work_bytes) flush();
    }

    Take take_;
    std::vector<Part> parts_;
    std::uint64_t cost_ = 0;
};
