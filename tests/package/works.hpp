#pragma once

// Registered in a header that several translation units include, as works are that master and slave share.
#include <distwork.hpp>

inline int add(int a, int b) {
    return a + b;
}
DISTWORK_REGISTER_FUNCTION(add)

class Negate : public distwork::RpcWork<int> {
public:
    Negate() = default;
    explicit Negate(int value) : value_{value} {}
    int execute_work(distwork::Context&) override { return -value_; }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(value_);
    }

private:
    int value_ = 0;
};
DISTWORK_REGISTER_WORK(Negate)

Negate make_negate(int value);
