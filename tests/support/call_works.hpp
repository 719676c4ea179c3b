#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "distwork/context.hpp"
#include "distwork/register.hpp"
#include "distwork/work.hpp"

// Works of the tests of calls.

namespace calls {

using namespace distwork;

struct Add : RpcWork<int> {
    Add() = default;
    Add(int first, int second) : a{first}, b{second} {}
    int execute_work(Context&) override { return a + b; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(a, b);
    }
    int a = 0;
    int b = 0;
};

/// Writes down what came back to the original; throws if told so.
struct Returned : RpcWork<int> {
    int execute_work(Context&) override { return 5; }
    void execute_return(int value, Context& peer) override {
        log->push_back(peer.peer_name() + ' ' + std::to_string(value));
        if (value < 0) throw std::domain_error{"negative"};
    }
    template <class Archive>
    void serialize(Archive&) {}
    std::shared_ptr<std::vector<std::string>> log = std::make_shared<std::vector<std::string>>();
};

struct Silent : IWork {
    void execute(Context&) override {}
    template <class Archive>
    void serialize(Archive&) {}
};

struct Unregistered : IWork {
    void execute(Context&) override {}
    template <class Archive>
    void serialize(Archive&) {}
};

struct Fails : RpcWork<int> {
    int execute_work(Context&) override { throw std::out_of_range{"index 7"}; }
    template <class Archive>
    void serialize(Archive&) {}
};

}  // namespace calls

DISTWORK_REGISTER_WORK(calls::Add)
DISTWORK_REGISTER_WORK(calls::Returned)
DISTWORK_REGISTER_WORK(calls::Silent)
DISTWORK_REGISTER_WORK(calls::Fails)
