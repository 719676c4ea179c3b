#pragma once

#include <stdlib.h>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "../program/child_mark.hpp"
#include "../program/comma_list.hpp"

namespace distwork::detail {

DISTWORK_DECL std::string ChildMark::text() const {
    std::string all = std::string{variable} + '=' + std::to_string(limits.end_process_after.count()) + ',' +
                      std::to_string(limits.max_works) + ',' + std::to_string(limits.max_memory) + ',' +
                      std::to_string(amounts.size()) + ',' + std::to_string(indexed.size());
    for (const auto& [name, units] : amounts) all += ',' + name + ',' + std::to_string(units);
    for (const std::string& name : indexed) all += ',' + name;
    for (const std::string& label : labels) all += ',' + label;
    return all;
}

DISTWORK_DECL std::optional<ChildMark> ChildMark::take() {
    const char* const text = std::getenv(variable);
    if (!text) return std::nullopt;
    const std::vector<std::string> fields = comma_list(text);
    ::unsetenv(variable);
    ChildMark mark;
    constexpr std::size_t numbers = 5;
    if (fields.size() < numbers) return mark;  // no LocalSlaves wrote it
    const auto number = [&](std::size_t i) { return std::strtoull(fields[i].c_str(), nullptr, 10); };
    mark.limits.end_process_after = std::chrono::milliseconds{number(0)};
    mark.limits.max_works = static_cast<std::size_t>(number(1));
    mark.limits.max_memory = static_cast<std::size_t>(number(2));
    auto amounts = static_cast<std::size_t>(number(3));
    auto indexed = static_cast<std::size_t>(number(4));
    std::size_t next = numbers;
    for (; amounts != 0 && next + 1 < fields.size(); --amounts, next += 2)
        mark.amounts.emplace_back(fields[next], number(next + 1));
    for (; indexed != 0 && next < fields.size(); --indexed, ++next) mark.indexed.push_back(fields[next]);
    mark.labels.assign(fields.begin() + static_cast<std::ptrdiff_t>(next), fields.end());
    return mark;
}

}  // namespace distwork::detail
