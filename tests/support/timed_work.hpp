#pragma once

#include <chrono>
#include <cstdint>
#include <distwork.hpp>
#include <thread>

/// Occupies a slot for a time, and gives a value that nothing else gives.
class Timed : public distwork::RpcWork<std::uint64_t> {
public:
    Timed() = default;
    Timed(std::uint64_t number, std::chrono::milliseconds time) : number_{number}, milliseconds_{time.count()} {}
    std::uint64_t execute_work(distwork::Context&) override {
        std::this_thread::sleep_for(std::chrono::milliseconds{milliseconds_});
        return value_of(number_);
    }
    static std::uint64_t value_of(std::uint64_t number) { return number * 0x9e37'79b9'7f4a'7c15 + 1; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number_, milliseconds_);
    }

private:
    std::uint64_t number_ = 0;
    std::int64_t milliseconds_ = 0;
};
DISTWORK_REGISTER_WORK(Timed)
