#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace support {

/// A new folder, removed at the end of its scope.
class Folder {
public:
    Folder() : path_{(std::filesystem::temp_directory_path() / "distwork-XXXXXX").string()} {
        if (!mkdtemp(path_.data())) throw std::runtime_error{"mkdtemp failed"};
    }
    Folder(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    /// The path of a file in it, which need not exist.
    std::string operator/(std::string_view name) const { return path_ + '/' + std::string{name}; }
    const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

inline std::string contents(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

inline void write_file(const std::string& path, std::string_view bytes) {
    std::ofstream{path, std::ios::binary}.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace support
