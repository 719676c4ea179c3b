#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <typeindex>
#include <typeinfo>
#include <utility>

#include "archive.hpp"
#include "detail/polymorphic_types.hpp"
#include "detail/shape.hpp"
#include "fingerprint.hpp"

// Where cereal finds the functions for objects behind pointers to their bases, with our two archives: in a table of our
// own, which is locked, and one for the process. The bytes are cereal's. Included by archive.hpp.

namespace distwork::detail {

/// Runs `action`, which asks cereal for a path between a class and its base, while no library registers one.
template <class Action>
auto with_casters(Action action) {
    const auto lock = cereal::detail::StaticObject<cereal::detail::PolymorphicCasters>::lock();
    return action();
}

}  // namespace distwork::detail

namespace cereal::detail {

// In place of cereal's tables, which it looks into by `map.find(…)`, and `!= map.end()`, and `->second`.

template <>
struct InputBindingMap<distwork::WireInputArchive> {
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
struct OutputBindingMap<distwork::WireOutputArchive> {
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

/// Made by CEREAL_REGISTER_TYPE for each class and our input archive. Cereal's own functions leak the object where T is
/// not derived from the pointer's type, and the name of T is the sender's to choose.
template <class T>
struct InputBindingCreator<distwork::WireInputArchive, T> {
    using Archive = distwork::WireInputArchive;

    InputBindingCreator() {
        distwork::detail::PolymorphicLoader loader;
        loader.name = binding_name<T>::name();
        loader.library = &distwork::detail::this_library;
        loader.load_shared = [](void* archive, std::shared_ptr<void>& to, const std::type_info& base) {
            std::shared_ptr<T> object;
            (*static_cast<Archive*>(archive))(memory_detail::make_ptr_wrapper(object));
            to = upcast(object, base);
        };
        loader.load_unique = [](void* archive, std::unique_ptr<void, EmptyDeleter<void>>& to,
                                const std::type_info& base) {
            std::unique_ptr<T> object;
            (*static_cast<Archive*>(archive))(memory_detail::make_ptr_wrapper(object));
            to.reset(upcast(object.get(), base));
            object.release();
        };
        loader.derives_from = [](const std::type_info& base) {
            return base == typeid(T) || distwork::detail::with_casters([&base] {
                       return PolymorphicCasters::lookup_if_exists(base, typeid(T)).first;
                   });
        };
        loader.shape = &distwork::shape_of<T>;
        distwork::detail::PolymorphicTypes::instance().add(std::move(loader));
    }

private:
    template <class Pointer>
    static auto upcast(const Pointer& object, const std::type_info& base) {
        return distwork::detail::with_casters([&] { return PolymorphicCasters::template upcast<T>(object, base); });
    }
};

/// Likewise for our output archive.
template <class T>
struct OutputBindingCreator<distwork::WireOutputArchive, T> {
    using Archive = distwork::WireOutputArchive;

    OutputBindingCreator() {
        distwork::detail::PolymorphicSaver saver;
        saver.save_shared = [](void* archive, const void* object, const std::type_info& base) {
            // It owns nothing.
            save_named(archive, std::shared_ptr<const T>{std::shared_ptr<void>{}, downcast(object, base)});
        };
        saver.save_unique = [](void* archive, const void* object, const std::type_info& base) {
            save_named(archive, std::unique_ptr<const T, EmptyDeleter<const T>>{downcast(object, base)});
        };
        distwork::detail::PolymorphicTypes::instance().add(typeid(T), saver);
    }

private:
    /// The name of the class, once a body, and the object.
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
        return distwork::detail::with_casters([&] { return PolymorphicCasters::template downcast<T>(object, base); });
    }
};

}  // namespace cereal::detail
