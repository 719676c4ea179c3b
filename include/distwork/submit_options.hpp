#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace distwork {

/// What a submission does when no slave is connected.
enum class WhenUnavailable {
    wait,    ///< for a slave
    refuse,  ///< Errc::no_slave at once, as the ancestor did
};

/// How one work wants to be distributed: `SubmitOptions{}.priority(3).label("gpu")`.
class SubmitOptions {
public:
    /// Works of a higher priority leave the backlog first. Default 0.
    SubmitOptions& priority(int value) {
        priority_ = value;
        return *this;
    }
    /// Only slaves that have this label, and every other one asked for, get the work.
    SubmitOptions& label(std::string value) {
        auto& labels = rare().labels;
        const auto at = std::lower_bound(labels.begin(), labels.end(), value);
        if (at == labels.end() || *at != value) labels.insert(at, std::move(value));
        return *this;
    }
    /// What errors and the log call it; default its type's name.
    SubmitOptions& name(std::string value) {
        rare().name = std::move(value);
        return *this;
    }
    SubmitOptions& when_unavailable(WhenUnavailable value) {
        when_unavailable_ = value;
        return *this;
    }

    int priority() const noexcept { return priority_; }
    WhenUnavailable when_unavailable() const noexcept { return when_unavailable_; }
    const std::vector<std::string>& labels() const noexcept { return set().labels; }  ///< sorted, each once
    const std::string& name() const noexcept { return set().name; }

private:
    /// What few submissions set, behind a pointer: the others cost nothing to pass on.
    struct Rare {
        std::vector<std::string> labels;
        std::string name;
    };

    const Rare& set() const noexcept {
        static const Rare none;
        return rare_ ? *rare_ : none;
    }
    Rare& rare() {
        rare_ = std::make_shared<Rare>(set());  // copies share what they were copied from
        return *rare_;
    }

    int priority_ = 0;
    WhenUnavailable when_unavailable_ = WhenUnavailable::wait;
    std::shared_ptr<Rare> rare_;
};

}  // namespace distwork
