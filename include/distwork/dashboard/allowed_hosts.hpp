#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../tcp/address.hpp"

namespace distwork::detail {

/// The names by which a browser may ask for the dashboard. A foreign site can have its own name resolve to this machine
/// (DNS rebinding), and would then read everything: but the request says that name.
class AllowedHosts {
public:
    explicit AllowedHosts(const std::string& address, std::vector<std::string> names) : names_{std::move(names)} {
        names_.push_back(address);
        for (std::string& name : names_) name = lower(name);
    }

    /// `header`: of the request's header Host, a name or an address with or without a port. Any port: it may have been
    /// forwarded.
    bool allow(std::string_view header) const {
        const std::string name = lower(without_port(header));
        return is_loopback(name) || std::find(names_.begin(), names_.end(), name) != names_.end();
    }

private:
    static std::string_view without_port(std::string_view header) {
        if (header.starts_with('[')) {
            const std::size_t end = header.find(']');
            const bool is_whole = end != header.npos && is_port(header.substr(end + 1));
            return is_whole ? header.substr(1, end - 1) : std::string_view{};
        }
        const std::size_t colon = header.find(':');
        if (colon == header.npos) return header;
        return is_port(header.substr(colon)) ? header.substr(0, colon) : std::string_view{};
    }
    /// Nothing, or a colon and digits.
    static bool is_port(std::string_view text) {
        return text.empty() || (text.starts_with(':') && text.find_first_not_of("0123456789", 1) == text.npos);
    }
    static std::string lower(std::string_view text) {
        std::string low{text};
        for (char& letter : low)
            if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
        return low;
    }

    std::vector<std::string> names_;
};

}  // namespace distwork::detail
