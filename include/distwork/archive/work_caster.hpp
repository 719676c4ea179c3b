#pragma once

#include <memory>
#include <typeindex>
#include <typeinfo>

#include "../base/cereal.hpp"
#include "../base/separate.hpp"
#include "../work.hpp"

// Cereal's class for the relation of a work to IWork, of which each registered type has one. Cereal's own constructor is
// a template that looks for paths through the whole table, and took a fifth of the time to compile a file of works. Only
// one path can be new here: IWork has no base. Included by wire_archive.hpp.

namespace distwork::detail {

/// Adds the relation of a class to `work`, which is IWork, to cereal's table, and the paths to the classes derived from
/// it that were registered before.
DISTWORK_DECL void add_work_caster(std::type_index work, std::type_index derived,
                                   const cereal::detail::PolymorphicCaster& caster);

}  // namespace distwork::detail

namespace cereal::detail {

template <class Derived>
struct PolymorphicVirtualCaster<distwork::IWork, Derived> : PolymorphicCaster {
    PolymorphicVirtualCaster() { distwork::detail::add_work_caster(typeid(distwork::IWork), typeid(Derived), *this); }

    const void* downcast(const void* work) const override {
        return dynamic_cast<const Derived*>(static_cast<const distwork::IWork*>(work));
    }
    void* upcast(void* derived) const override { return static_cast<distwork::IWork*>(static_cast<Derived*>(derived)); }
    std::shared_ptr<void> upcast(const std::shared_ptr<void>& derived) const override {
        return std::shared_ptr<distwork::IWork>{std::static_pointer_cast<Derived>(derived)};
    }
};

}  // namespace cereal::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/work_caster.ipp"
#endif
