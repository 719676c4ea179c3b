#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <typeindex>
#include <typeinfo>
#include <utility>

#include "../base/type_name.hpp"
#include "fingerprint.hpp"
#include "polymorphic_types.hpp"
#include "shape.hpp"
#include "wire_archive.hpp"

// With our two archives, cereal finds the functions for objects behind pointers to their bases in PolymorphicTypes: one
// table for the whole process, with a lock. The format of the bytes is cereal's. Included by wire_archive.hpp.

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
Pointer upcast(Pointer object, const std::type_info& base, const std::type_info& derived) {
    with_path(base, derived, [&](const auto& path) {
        each_step(path.rbegin(), path.rend(), [&](const auto& caster) { object = caster.upcast(object); });
    });
    return object;
}

/// Converts a pointer to the base of an object of `derived` into a pointer to the object.
inline const void* downcast(const void* object, const std::type_info& base, const std::type_info& derived) {
    with_path(base, derived, [&](const auto& path) {
        each_step(path.begin(), path.end(), [&](const auto& caster) { object = caster.downcast(object); });
    });
    return object;
}

}  // namespace distwork::detail

namespace cereal::detail {

// These replace cereal's tables. Cereal uses `map.find(…)`, `!= map.end()` and `->second`.

template <>
struct InputBindingMap<distwork::detail::WireInputArchive> {
    struct Serializers {
        distwork::detail::LoadShared shared_ptr = nullptr;
        distwork::detail::LoadUnique unique_ptr = nullptr;
    };
    struct Found {
        const distwork::detail::PolymorphicLoader* loader = nullptr;
        Serializers second;
        const Found* operator->() const noexcept { return this; }
        bool operator==(const Found& other) const noexcept { return loader == other.loader; }
    };
    struct Map {
        static Found find(const std::string& name) {
            const auto* const loader =
                distwork::detail::PolymorphicTypes::instance().loader(name, &distwork::detail::this_library);
            return loader ? Found{loader, {loader->load_shared, loader->load_unique}} : Found{};
        }
        static Found end() noexcept { return {}; }
    };
    Map map;
};

template <>
struct OutputBindingMap<distwork::detail::WireOutputArchive> {
    struct Serializers {
        distwork::detail::SavePointer shared_ptr = nullptr;
        distwork::detail::SavePointer unique_ptr = nullptr;
    };
    struct Found {
        const distwork::detail::PolymorphicSaver* saver = nullptr;
        Serializers second;
        const Found* operator->() const noexcept { return this; }
        bool operator==(const Found& other) const noexcept { return saver == other.saver; }
    };
    struct Map {
        static Found find(const std::type_index& type) {
            const auto* const saver = distwork::detail::PolymorphicTypes::instance().saver(type);
            return saver ? Found{saver, {saver->save_shared, saver->save_unique}} : Found{};
        }
        static Found end() noexcept { return {}; }
    };
    Map map;
};

/// Made by CEREAL_REGISTER_TYPE for each class and our input archive. Cereal's own functions leak the object if T is
/// not derived from the pointer's type; the sender chooses the name of T, so any peer could cause that.
template <class T>
struct InputBindingCreator<distwork::detail::WireInputArchive, T> {
    using Archive = distwork::detail::WireInputArchive;

    InputBindingCreator() {
        distwork::detail::PolymorphicLoader loader;
        loader.name = binding_name<T>::name();
        loader.library = &distwork::detail::this_library;
        loader.load_shared = [](void* archive, std::shared_ptr<void>& to, const std::type_info& base) {
            std::shared_ptr<T> object;
            (*static_cast<Archive*>(archive))(memory_detail::make_ptr_wrapper(object));
            to = distwork::detail::upcast<std::shared_ptr<void>>(object, base, typeid(T));
        };
        loader.load_unique = [](void* archive, std::unique_ptr<void, EmptyDeleter<void>>& to,
                                const std::type_info& base) {
            std::unique_ptr<T> object;
            (*static_cast<Archive*>(archive))(memory_detail::make_ptr_wrapper(object));
            to.reset(distwork::detail::upcast<void*>(object.get(), base, typeid(T)));
            object.release();
        };
        loader.derives_from = [](const std::type_info& base) {
            return base == typeid(T) || distwork::detail::with_casters([&base] {
                       return PolymorphicCasters::lookup_if_exists(base, typeid(T)).first;
                   });
        };
        loader.shape = &distwork::detail::shape_of<T>;
        distwork::detail::PolymorphicTypes::instance().add(std::move(loader));
    }
};

/// Made by CEREAL_REGISTER_TYPE for each class and our output archive.
template <class T>
struct OutputBindingCreator<distwork::detail::WireOutputArchive, T> {
    using Archive = distwork::detail::WireOutputArchive;

    OutputBindingCreator() {
        distwork::detail::PolymorphicSaver saver;
        saver.save_shared = [](void* archive, const void* object, const std::type_info& base) {
            // This shared pointer does not own the object.
            save_named(archive, std::shared_ptr<const T>{std::shared_ptr<void>{}, downcast(object, base)});
        };
        saver.save_unique = [](void* archive, const void* object, const std::type_info& base) {
            save_named(archive, std::unique_ptr<const T, EmptyDeleter<const T>>{downcast(object, base)});
        };
        distwork::detail::PolymorphicTypes::instance().add(typeid(T), saver);
    }

private:
    /// Saves the name of the class, once in a body, and the object.
    template <class Pointer>
    static void save_named(void* to, const Pointer& pointer) {
        Archive& archive = *static_cast<Archive*>(to);
        const char* const name = binding_name<T>::name();
        const std::uint32_t id = archive.registerPolymorphicType(name);
        archive(id);
        if ((id & msb_32bit) != 0) {
            const std::string whole{name};
            archive(make_nvp("polymorphic_name", whole));
        }
        archive(memory_detail::make_ptr_wrapper(pointer));
    }

    static const T* downcast(const void* object, const std::type_info& base) {
        return static_cast<const T*>(distwork::detail::downcast(object, base, typeid(T)));
    }
};

}  // namespace cereal::detail
