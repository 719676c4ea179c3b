#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <distwork.hpp>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

/// Occupies a slot for a time, and gives a value that nothing else gives.
class Timed : public distwork::RpcWork<std::uint64_t> {
public:
    Timed() = default;
    Timed(std::uint64_t number, std::chrono::milliseconds time) : number_{number}, milliseconds_{time.count()} {}
    std::uint64_t execute_work(distwork::Context&) override {
        // Whole, whoever is killed then, and whoever else writes.
        if (record() >= 0 && write(record(), &number_, sizeof number_) != sizeof number_) std::abort();
        std::this_thread::sleep_for(std::chrono::milliseconds{milliseconds_});
        return value_of(number_);
    }
    static std::uint64_t value_of(std::uint64_t number) { return number * 0x9e37'79b9'7f4a'7c15 + 1; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number_, milliseconds_);
    }

    /// From now on this process notes each execution in a file that others write to as well.
    static void record_in(const std::string& file) {
        record() = open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (record() < 0) std::abort();
    }

    /// How often each of the first `count` numbers was executed.
    static std::vector<unsigned> recorded_in(const std::string& file, std::size_t count) {
        std::vector<unsigned> executions(count);
        std::ifstream in{file, std::ios::binary};
        for (std::uint64_t number = 0; in.read(reinterpret_cast<char*>(&number), sizeof number);)
            ++executions.at(number);
        return executions;
    }

private:
    static int& record() {
        static int descriptor = -1;
        return descriptor;
    }

    std::uint64_t number_ = 0;
    std::int64_t milliseconds_ = 0;
};
DISTWORK_REGISTER_WORK(Timed)
