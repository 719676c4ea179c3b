#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <typeinfo>

#include "../archive/archive_polymorphic.hpp"
#include "../base/type_name.hpp"

namespace distwork::detail {

/// Runs `action` under cereal's lock, so that no library registers a relation meanwhile. `action` asks cereal for the
/// path between a class and its base.
template <class Action>
auto with_casters(Action action) {
    const auto lock = cereal::detail::StaticObject<cereal::detail::PolymorphicCasters>::lock();
    return action();
}

/// Calls `step` once for each step of cereal's path between a class and its base. When two libraries registered the
/// same relation in one table, the path holds that step twice.
template <class Iterator, class Step>
void each_step(Iterator first, Iterator last, Step step) {
    const std::type_info* before = nullptr;
    for (; first != last; ++first) {
        const cereal::detail::PolymorphicCaster& caster = **first;
        if (!before || *before != typeid(caster)) step(caster);
        before = &typeid(caster);
    }
}

/// Calls `walk` with cereal's path between a class and its base. Throws cereal::Exception if the relation was not
/// registered.
template <class Walk>
void with_path(const std::type_info& base, const std::type_info& derived, Walk walk) {
    with_casters([&] {
        const auto path = cereal::detail::PolymorphicCasters::lookup_if_exists(base, derived);
        if (!path.first)
            throw cereal::Exception(type_name(derived) + " was not registered as derived from " + type_name(base) +
                                    ": write CEREAL_REGISTER_POLYMORPHIC_RELATION(" + type_name(base) + ", " +
                                    type_name(derived) + ')');
        walk(path.second);
    });
}

/// Converts a pointer (void*, or a std::shared_ptr<void>) to an object of `derived` into a pointer to its base.
template <class Pointer>
Pointer upcast_along_path(Pointer object, const std::type_info& base, const std::type_info& derived) {
    with_path(base, derived, [&](const auto& path) {
        each_step(path.rbegin(), path.rend(), [&](const auto& caster) { object = caster.upcast(object); });
    });
    return object;
}

DISTWORK_DECL void* upcast(void* object, const std::type_info& base, const std::type_info& derived) {
    return upcast_along_path(object, base, derived);
}
DISTWORK_DECL std::shared_ptr<void> upcast(const std::shared_ptr<void>& object, const std::type_info& base,
                                           const std::type_info& derived) {
    return upcast_along_path(object, base, derived);
}

/// Converts a pointer to the base of an object of `derived` into a pointer to the object.
inline const void* downcast(const void* object, const std::type_info& base, const std::type_info& derived) {
    with_path(base, derived, [&](const auto& path) {
        each_step(path.begin(), path.end(), [&](const auto& caster) { object = caster.downcast(object); });
    });
    return object;
}

DISTWORK_DECL bool derives_from(const std::type_info& derived, const std::type_info& base) {
    return base == derived ||
           with_casters([&] { return cereal::detail::PolymorphicCasters::lookup_if_exists(base, derived).first; });
}

DISTWORK_DECL const void* begin_saving(WireOutputArchive& archive, const char* name, const void* object,
                                       const std::type_info& base, const std::type_info& derived) {
    const std::uint32_t id = archive.registerPolymorphicType(name);
    archive(id);
    if ((id & cereal::detail::msb_32bit) != 0) {
        const std::string whole{name};
        archive(cereal::make_nvp("polymorphic_name", whole));
    }
    return downcast(object, base, derived);
}

}  // namespace distwork::detail
