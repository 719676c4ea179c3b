#pragma once

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

namespace fuzz {

/// Writes what a fuzzer begins with, into the folder that DISTWORK_FUZZ_SEEDS names.
class Seeds {
public:
    explicit Seeds(std::filesystem::path folder) : folder_{std::move(folder)} {}

    void write(const std::string& fuzzer, const std::string& name, std::span<const std::byte> bytes) const {
        std::filesystem::create_directories(folder_ / fuzzer);
        std::ofstream file{folder_ / fuzzer / name, std::ios::binary};
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        if (!file.flush()) std::abort();
    }

private:
    const std::filesystem::path folder_;
};

/// Ends the program with the seeds written, if they were asked for.
template <class Record>
int begin(Record record) {
    if (const char* folder = std::getenv("DISTWORK_FUZZ_SEEDS")) {
        record(Seeds{folder});
        std::exit(0);
    }
    return 0;
}

}  // namespace fuzz
