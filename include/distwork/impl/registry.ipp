#pragma once

#include <limits>
#include <mutex>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

#include "../archive/type_growth.hpp"
#include "../base/type_name.hpp"
#include "../error.hpp"
#include "../types/registry.hpp"
#include "../wire/plain_fields.hpp"

namespace distwork::detail {

DISTWORK_DECL const WorkType& Registry::add(const std::type_info& type, const WorkOperations& operations,
                                            const char* name, const char* header_line) {
    WorkType entry{operations, name, &type, header_line};
    const WorkType* added = nullptr;
    {
        const std::lock_guard lock{mutex_};
        if (const auto found = by_type_.find(&type); found != by_type_.end()) {
            if (found->second->name != entry.name)
                duplicates_.push_back(entry.name + " is registered as " + found->second->name + " too");
            return *found->second;
        }
        const auto named = by_name_.find(entry.name);
        const bool is_new = named == by_name_.end();
        if (!is_new && *named->second->type != type)
            duplicates_.push_back("two work types are registered as " + entry.name);
        if (is_new && types_.size() == std::numeric_limits<std::uint16_t>::max()) too_many_ = true;
        entry.registry = is_new ? this : nullptr;
        entry.number = static_cast<std::uint16_t>(types_.size());
        added = &entries_.emplace_back(std::move(entry));
        by_type_.emplace(added->type, added);
        if (!is_new) return *added;
        by_name_.emplace(added->name, added);
        types_.push_back(added);
    }
    TypeGrowth::instance().note();
    return *added;
}

DISTWORK_DECL const WorkType* Registry::find(const std::type_info& type) const {
    const std::lock_guard lock{mutex_};
    const auto found = by_type_.find(&type);
    return found == by_type_.end() ? nullptr : found->second;
}

DISTWORK_DECL const WorkType* Registry::find(std::string_view name) const {
    const std::lock_guard lock{mutex_};
    const auto found = by_name_.find(std::string{name});
    return found == by_name_.end() ? nullptr : found->second;
}

DISTWORK_DECL void Registry::check() const {
    const std::lock_guard lock{mutex_};
    if (too_many_) throw Error::with_text(Errc::bad_option, "more than 65,535 work types are registered");
    for (const WorkType* const type : types_)
        if (type->name.size() > max_name_bytes)
            throw Error::with_text(Errc::bad_option, "the name of a work type has more than 256 bytes: " + type->name);
    if (duplicates_.empty()) return;
    std::string names;
    for (const std::string& name : duplicates_) names += (names.empty() ? "" : ", ") + name;
    throw Error::with_text(Errc::duplicate_type, names);
}

DISTWORK_DECL const WorkType& Registry::own_of_foreign(const WorkType& type) const {
    const WorkType* const named = find(type.name);
    if (!named)
        throw Error::with_text(Errc::foreign_type,
                               type.name +
                                   ": the library that registered it has a registry of its own, and the registry "
                                   "of this role has no type of that name; link the program with -rdynamic (CMake: "
                                   "ENABLE_EXPORTS)");
    if (!type.registry && (type.header_line.empty() || type.header_line != named->header_line))
        throw Error::with_text(
            Errc::foreign_type,
            type.name + ": another library of this process has already registered a type of that name");
    if (named->fingerprint() != type.fingerprint())
        throw Error::with_text(
            Errc::foreign_type,
            type.name + ": another library of this process has a type of that name with another shape");
    return *named;
}

DISTWORK_DECL Error unregistered(const std::string& macro, const std::string& name) {
    return Error::with_text(Errc::unregistered_type, name + " is not registered: write " + macro + '(' + name +
                                                         ") at global scope, in a header that both programs include");
}

DISTWORK_DECL const WorkType& work_type_of(const std::type_info& dynamic_type) {
    if (const WorkType* type = Registry::instance().find(dynamic_type)) return *type;
    for (const WorkType* type : Registry::instance().types())
        if (*type->type == dynamic_type)
            throw Error::with_text(Errc::foreign_type,
                                   type->name + " is registered only as a private class of another library");
    throw unregistered("DISTWORK_REGISTER_WORK", type_name(dynamic_type));
}

}  // namespace distwork::detail
