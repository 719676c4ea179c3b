#pragma once

#include <iterator>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <vector>

#include "../archive/polymorphic_types.hpp"
#include "../archive/type_growth.hpp"

namespace distwork::detail {

/// The only entry found, or the one of several for which `is_it` holds; else null.
template <class Iterator, class Predicate>
auto only(const std::pair<Iterator, Iterator>& found, Predicate is_it) -> decltype(&found.first->second) {
    const auto [first, last] = found;
    for (auto each = first; each != last; ++each)
        if (is_it(each->second)) return &each->second;
    return first != last && std::next(first) == last ? &first->second : nullptr;
}

DISTWORK_DECL void PolymorphicTypes::add(PolymorphicLoader loader) {
    {
        const std::lock_guard lock{mutex_};
        loaders_.emplace(loader.name, std::move(loader));
    }
    TypeGrowth::instance().note();
}

DISTWORK_DECL void PolymorphicTypes::add(const std::type_info& type, PolymorphicSaver saver) {
    const std::lock_guard lock{mutex_};
    saver.type_name = type.name();
    savers_.emplace(type, saver);
}

DISTWORK_DECL const PolymorphicLoader* PolymorphicTypes::loader(const std::string& name, const void* library) const {
    const std::shared_lock lock{mutex_};
    return only(loaders_.equal_range(name),
                [library](const PolymorphicLoader& loader) { return loader.library == library; });
}

DISTWORK_DECL const PolymorphicSaver* PolymorphicTypes::saver(const std::type_index& type) const {
    const std::shared_lock lock{mutex_};
    return only(savers_.equal_range(type),
                [&type](const PolymorphicSaver& saver) { return saver.type_name == type.name(); });
}

DISTWORK_DECL std::vector<const PolymorphicLoader*> PolymorphicTypes::loaders() const {
    const std::shared_lock lock{mutex_};
    std::vector<const PolymorphicLoader*> all;
    for (const auto& [name, loader] : loaders_) all.push_back(&loader);
    return all;
}

}  // namespace distwork::detail
