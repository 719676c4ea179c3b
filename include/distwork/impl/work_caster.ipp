#pragma once

#include <typeindex>

#include "../archive/work_caster.hpp"

namespace distwork::detail {

DISTWORK_DECL void add_work_caster(std::type_index work, std::type_index derived,
                                   const cereal::detail::PolymorphicCaster& caster) {
    using cereal::detail::PolymorphicCasters;
    using cereal::detail::StaticObject;
    const auto lock = StaticObject<PolymorphicCasters>::lock();
    auto& [map, reverse_map] = StaticObject<PolymorphicCasters>::getInstance();
    PolymorphicCasters::DerivedCasterMap& works = map[work];
    works[derived].push_back(&caster);
    reverse_map.emplace(derived, work);

    const auto known = map.find(derived);
    if (known == map.end()) return;
    for (const auto& [below, path] : known->second) {
        auto& whole = works[below];
        if (!whole.empty() && whole.size() <= path.size() + 1) continue;
        whole.assign(1, &caster);
        whole.insert(whole.end(), path.begin(), path.end());
        reverse_map.emplace(below, work);
    }
}

}  // namespace distwork::detail
