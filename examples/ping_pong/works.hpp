// The works of ping_pong: the master sends a SlaveWork to a slave, which sends a MasterWork back.
#pragma once

#include <cereal/types/string.hpp>
#include <distwork.hpp>
#include <iostream>
#include <semaphore>
#include <string>
#include <utility>

inline std::counting_semaphore<> received{0};  // released by each MasterWork

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
        received.release();
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
