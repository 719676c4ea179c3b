#pragma once

#include <algorithm>
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
        if (const auto at = std::lower_bound(labels_.begin(), labels_.end(), value);
            at == labels_.end() || *at != value)
            labels_.insert(at, std::move(value));
        return *this;
    }
    /// What errors and the log call it; default its type's name.
    SubmitOptions& name(std::string value) {
        name_ = std::move(value);
        return *this;
    }
    SubmitOptions& when_unavailable(WhenUnavailable value) {
        when_unavailable_ = value;
        return *this;
    }

    int priority() const noexcept { return priority_; }
    const std::vector<std::string>& labels() const noexcept { return labels_; }  ///< sorted, each once
    const std::string& name() const noexcept { return name_; }
    WhenUnavailable when_unavailable() const noexcept { return when_unavailable_; }

private:
    int priority_ = 0;
    WhenUnavailable when_unavailable_ = WhenUnavailable::wait;
    std::vector<std::string> labels_;
    std::string name_;
};

}  // namespace distwork
