#pragma once

#include <memory>
#include <string>
#include <typeindex>
#include <typeinfo>
#include <utility>

#include "../base/separate.hpp"
#include "fingerprint.hpp"
#include "polymorphic_types.hpp"
#include "shape.hpp"
#include "wire_archive.hpp"

// With our two archives, cereal finds the functions for objects behind pointers to their bases in PolymorphicTypes: one
// table for the whole process, with a lock. The format of the bytes is cereal's. Included by wire_archive.hpp.

namespace distwork::detail {

// In archive_pointers.hpp
inline bool begins_shared(WireInputArchive& archive);
template <class Pointer>
void load_pointee(WireInputArchive& archive, Pointer& pointer);

/// Converts a pointer to an object of `derived` into a pointer to its base. Throws cereal::Exception if the relation was
/// not registered.
///@{
DISTWORK_DECL void* upcast(void* object, const std::type_info& base, const std::type_info& derived);
DISTWORK_DECL std::shared_ptr<void> upcast(const std::shared_ptr<void>& object, const std::type_info& base,
                                           const std::type_info& derived);
///@}

/// Whether a class was registered as derived from `base`, or is `base`.
DISTWORK_DECL bool derives_from(const std::type_info& derived, const std::type_info& base);

/// Saves the name of the class of an object, once in a body. Returns the object, to which `object` points as its base.
DISTWORK_DECL const void* begin_saving(WireOutputArchive& archive, const char* name, const void* object,
                                       const std::type_info& base, const std::type_info& derived);

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
        loader.type = &typeid(T);
        loader.library = &distwork::detail::this_library;
        loader.load_shared = [](void* from, std::shared_ptr<void>& to, const std::type_info& base) {
            Archive& archive = *static_cast<Archive*>(from);
            std::shared_ptr<T> object;
            if (distwork::detail::begins_shared(archive)) distwork::detail::load_pointee(archive, object);
            to = distwork::detail::upcast(std::shared_ptr<void>{object}, base, typeid(T));
        };
        loader.load_unique = [](void* from, std::unique_ptr<void, EmptyDeleter<void>>& to, const std::type_info& base) {
            Archive& archive = *static_cast<Archive*>(from);
            std::unique_ptr<T> object;
            if (archive.read_scalar<bool>()) distwork::detail::load_pointee(archive, object);
            to.reset(distwork::detail::upcast(object.get(), base, typeid(T)));
            object.release();
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
        saver.save_shared = [](void* to, const void* object, const std::type_info& base) {
            Archive& archive = *static_cast<Archive*>(to);
            object = distwork::detail::begin_saving(archive, binding_name<T>::name(), object, base, typeid(T));
            archive(archive.note_shared(object, typeid(T), {}));  // who saves keeps the object alive
            save(archive, object);
        };
        saver.save_unique = [](void* to, const void* object, const std::type_info& base) {
            Archive& archive = *static_cast<Archive*>(to);
            object = distwork::detail::begin_saving(archive, binding_name<T>::name(), object, base, typeid(T));
            archive(true);
            save(archive, object);
        };
        distwork::detail::PolymorphicTypes::instance().add(typeid(T), saver);
    }

private:
    static void save(Archive& archive, const void* object) {
        archive.bounds().charge(distwork::detail::heap_cost<T>);
        archive(*static_cast<const T*>(object));
    }
};

}  // namespace cereal::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/archive_polymorphic.ipp"
#endif
