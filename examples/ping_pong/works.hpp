// The works of ping_pong: the master sends a SlaveWork to a slave, which sends a MasterWork back.
#pragma once

#include <cereal/types/string.hpp>
#include <chrono>
#include <condition_variable>
#include <distwork.hpp>
#include <iostream>
#include <mutex>
#include <string>
#include <utility>

/// Tells the program that a MasterWork was executed.
class Returned {
public:
    void notify() {
        const std::lock_guard lock{mutex_};
        ++count_;
        changed_.notify_one();
    }

    /// False when none came in time.
    bool wait_for(std::chrono::seconds time) {
        std::unique_lock lock{mutex_};
        if (!changed_.wait_for(lock, time, [this] { return count_ != 0; })) return false;
        --count_;
        return true;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int count_ = 0;
};
inline Returned returned;

struct SlaveResult {
    std::string message;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(message);
    }
};

class MasterWork : public distwork::IWork {  // executed on the master
public:
    MasterWork() = default;
    explicit MasterWork(SlaveResult result) : result_{std::move(result)} {}

    void execute(distwork::Context& peer) override {
        std::cout << "Do master work: " << peer.remote_endpoint() << std::endl;
        std::cout << "Received from slave: " << result_.message << std::endl;
        returned.notify();
    }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(result_);
    }

private:
    SlaveResult result_;
};
DISTWORK_REGISTER_WORK(MasterWork)

class SlaveWork : public distwork::IWork {  // executed on a slave
public:
    void execute(distwork::Context& peer) override {
        std::cout << "Do my work: " << peer.remote_endpoint() << std::endl;
        peer.send_work(MasterWork{SlaveResult{"TEST MESSAGE"}});
    }

    template <class Archive>
    void serialize(Archive&) {}
};
DISTWORK_REGISTER_WORK(SlaveWork)
