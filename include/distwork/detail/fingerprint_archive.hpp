#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#include "cereal.hpp"
#include "shape.hpp"

namespace distwork::detail {

/// An archive that saves nothing: it describes the types of what it is given. Users' functions see an output archive.
class FingerprintArchive : public cereal::OutputArchive<FingerprintArchive, cereal::AllowEmptyClassElision> {
    using Base = cereal::OutputArchive<FingerprintArchive, cereal::AllowEmptyClassElision>;

public:
    FingerprintArchive() : Base{this} {}

    // These hide the base's.
    template <class... T>
    FingerprintArchive& operator()(T&&... values) {
        (visit(values), ...);
        return *this;
    }
    template <class T>
    FingerprintArchive& operator&(T&& value) {
        return (*this)(value);
    }
    template <class T>
    FingerprintArchive& operator<<(T&& value) {
        return (*this)(value);
    }
    void serializeDeferments() {}

    /// Describes a type of which there is no object.
    template <class T>
    void describe() {
        if constexpr (fingerprint_override<T> != 0) {
            add(ShapeWord::override, fingerprint_override<T>);
        } else if constexpr (std::is_void_v<T>) {
            add(ShapeWord::nothing);
        } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
            describe_scalar<T>();
        } else if constexpr (std::is_array_v<T>) {
            add(ShapeWord::array, std::extent_v<T>);
            describe_part<std::remove_extent_t<T>>();
        } else if constexpr (is_unique_pointer<T> || is_shared_pointer<T>) {
            add(is_unique_pointer<T> ? ShapeWord::unique_pointer : ShapeWord::shared_pointer);
            describe_pointee<typename T::element_type>();
        } else if constexpr (is_library_type<T>) {
            describe_standard<T>();
        } else {
            describe_object<T>(nullptr);
        }
    }

    /// The version of the class being described, which is known already, is written.
    void note_version() noexcept { add(ShapeWord::versioned); }

    std::uint64_t result() const noexcept {
        // Every bit of the words shall reach every bit of the result (the last step of MurmurHash3).
        std::uint64_t hash = hash_;
        hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdU;
        hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53U;
        return hash ^ hash >> 33;
    }

private:
    /// FNV-1a, a byte at a time.
    void add(std::uint64_t number) noexcept {
        for (int shift = 0; shift < 64; shift += 8) hash_ = (hash_ ^ (number >> shift & 0xff)) * 0x100000001b3U;
    }
    void add(ShapeWord word) noexcept { add(static_cast<std::uint64_t>(word)); }
    void add(ShapeWord word, std::uint64_t number) noexcept {
        add(word);
        add(number);
    }

    template <class T>
    void describe_part() {
        describe<std::remove_cv_t<T>>();
    }

    template <class T>
    void describe_scalar() {
        if constexpr (std::is_enum_v<T>) {
            add(ShapeWord::enumeration);
            describe_scalar<std::underlying_type_t<T>>();
        } else if constexpr (std::same_as<T, bool>) {
            add(ShapeWord::boolean);
        } else if constexpr (std::same_as<T, long double>) {
            add(ShapeWord::floating, 16);  // as it travels
        } else if constexpr (std::is_floating_point_v<T>) {
            add(ShapeWord::floating, sizeof(T));
        } else if constexpr (is_character<T>) {
            add(ShapeWord::character, sizeof(T));  // of char's sign machines have different opinions
        } else {
            add(std::is_signed_v<T> ? ShapeWord::signed_integer : ShapeWord::unsigned_integer, sizeof(T));
        }
    }

    template <class T>
    void describe_pointee() {
        if constexpr (std::is_polymorphic_v<T>) {
            add(ShapeWord::polymorphic);  // what is there, its name tells at run time
        } else {
            describe_part<T>();
        }
    }

    template <class T>
    void describe_standard() {
        if constexpr (ArrayLike<T>) {
            add(ShapeWord::array, std::tuple_size_v<T>);
            describe_part<typename T::value_type>();
        } else if constexpr (TupleLike<T>) {
            add(ShapeWord::tuple, std::tuple_size_v<T>);
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                (describe_part<std::tuple_element_t<I, T>>(), ...);
            }
            (std::make_index_sequence<std::tuple_size_v<T>>{});
        } else if constexpr (VariantLike<T>) {
            add(ShapeWord::variant, std::variant_size_v<T>);
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                (describe_part<std::variant_alternative_t<I, T>>(), ...);
            }
            (std::make_index_sequence<std::variant_size_v<T>>{});
        } else if constexpr (OptionalLike<T>) {
            add(ShapeWord::optional);
            describe_part<typename T::value_type>();
        } else if constexpr (DurationLike<T>) {
            add(ShapeWord::duration);
            describe_part<typename T::rep>();
            add(static_cast<std::uint64_t>(T::period::num));
            add(static_cast<std::uint64_t>(T::period::den));
        } else if constexpr (TimePointLike<T>) {
            add(ShapeWord::time_point);
            describe_part<typename T::duration>();
        } else if constexpr (BitsLike<T>) {
            add(ShapeWord::bits, T{}.size());
        } else if constexpr (ComplexLike<T>) {
            add(ShapeWord::complex);
            describe_part<typename T::value_type>();
        } else if constexpr (AtomicLike<T>) {
            describe_part<typename T::value_type>();
        } else if constexpr (AdaptorLike<T>) {
            add(ShapeWord::adaptor);
            if constexpr (requires { typename T::value_compare; }) describe_part<typename T::value_compare>();
            describe_part<typename T::container_type>();
        } else if constexpr (RangeLike<T>) {
            add(ShapeWord::range);
            describe_part<typename T::value_type>();
        } else if constexpr (std::is_empty_v<T>) {
            add(ShapeWord::nothing);
        } else {
            add(ShapeWord::opaque);
        }
    }

    // What users give to an archive: objects, some of them in cereal's wrappers.

    template <class T>
    void visit(const T& object) {
        if constexpr (std::is_class_v<T> && !is_library_type<T> && fingerprint_override<T> == 0) {
            describe_object<T>(&object);
        } else {
            describe<T>();
        }
    }
    template <class T>
    void visit(const cereal::NameValuePair<T>& pair) {
        visit(pair.value);
    }
    template <class T>
    void visit(const cereal::SizeTag<T>& tag) {
        add(ShapeWord::count);
        visit(tag.size);
    }
    template <class T>
    void visit(const cereal::BinaryData<T>& binary) {
        using Element = std::remove_cv_t<std::remove_all_extents_t<std::remove_pointer_t<std::remove_reference_t<T>>>>;
        add(ShapeWord::binary, binary.size);
        if constexpr (std::is_arithmetic_v<Element>) describe_scalar<Element>();
    }
    template <class Key, class Value>
    void visit(const cereal::MapItem<Key, Value>& item) {
        visit(item.key);
        visit(item.value);
    }
    template <class T>
    void visit(const cereal::DeferredData<T>& data) {
        add(ShapeWord::deferred);
        visit(data.value);
    }
    template <class T>
    void visit(const cereal::base_class<T>& base) {
        add(ShapeWord::base);
        visit(*base.base_ptr);
    }
    template <class T>
    void visit(const cereal::virtual_base_class<T>& base) {
        add(ShapeWord::base);
        visit(*base.base_ptr);
    }

    /// Describes a user's class; without an object, one is made.
    template <class T>
    void describe_object(const T* object) {
        for (std::size_t i = 0; i < open_.size(); ++i)
            if (open_[i] == typeid(T)) return add(ShapeWord::back_reference, i);
        if constexpr (std::is_default_constructible_v<T> && !std::is_abstract_v<T>) {
            if (!object) return describe_new_object<T>();
        }
        add(ShapeWord::object, cereal::detail::Version<T>::version);
        open_.push_back(typeid(T));
        try {
            if (object) {
                run(*object);
            } else {
                add(ShapeWord::opaque);
            }
        } catch (...) {
            add(ShapeWord::opaque);  // a function that does not like a default-constructed object
        }
        // A container of the users' own that is empty has not shown its elements.
        if constexpr (RangeLike<T>) describe_part<typename T::value_type>();
        open_.pop_back();
        add(ShapeWord::object_end);
    }

    template <class T>
    void describe_new_object() {
        std::unique_ptr<T> object;
        try {
            object.reset(cereal::access::construct<T>());
        } catch (...) {
            return add(ShapeWord::opaque);
        }
        describe_object<T>(object.get());
    }

    template <class T>
    void run(const T& object) {
        using cereal::traits::has_member_save_minimal;
        using cereal::traits::has_member_versioned_save_minimal;
        using cereal::traits::has_non_member_save_minimal;
        using cereal::traits::has_non_member_versioned_save_minimal;
        // A minimal function is asked for its type alone.
        if constexpr (has_member_save_minimal<T, FingerprintArchive>::value) {
            describe<typename has_member_save_minimal<T, FingerprintArchive>::type>();
        } else if constexpr (has_non_member_save_minimal<T, FingerprintArchive>::value) {
            describe<typename has_non_member_save_minimal<T, FingerprintArchive>::type>();
        } else if constexpr (has_member_versioned_save_minimal<T, FingerprintArchive>::value) {
            note_version();
            describe<typename has_member_versioned_save_minimal<T, FingerprintArchive>::type>();
        } else if constexpr (has_non_member_versioned_save_minimal<T, FingerprintArchive>::value) {
            note_version();
            describe<typename has_non_member_versioned_save_minimal<T, FingerprintArchive>::type>();
        } else if constexpr (cereal::traits::is_output_serializable<T, FingerprintArchive>::value) {
            Base::operator()(object);  // cereal finds the function; what it gives to the archive comes to visit
        } else if constexpr (std::is_empty_v<T>) {
            add(ShapeWord::nothing);
        } else {
            add(ShapeWord::opaque);
        }
    }

    std::uint64_t hash_ = 0xcbf29ce484222325U;
    std::vector<std::type_index> open_;  // the classes being described, the outermost first
};

/// Cereal itself gives the archive nothing but a class's version, where its functions ask for it.
template <class T>
void serialize(FingerprintArchive& archive, cereal::NameValuePair<T>&) {
    archive.note_version();
}

}  // namespace distwork::detail
