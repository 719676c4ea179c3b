#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#include "../base/cereal.hpp"
#include "../base/separate.hpp"
#include "probing.hpp"
#include "shape.hpp"
#include "shape_hash.hpp"

namespace distwork::detail {
class WireOutputArchive;
class FingerprintArchive;
}  // namespace distwork::detail

template <>
struct cereal::traits::detail::get_output_from_input<distwork::detail::FingerprintArchive> {
    using type = distwork::detail::WireOutputArchive;
};

namespace distwork::detail {

/// An archive that describes types instead of loading values. It records the type of each value that is read from it,
/// and gives zeros, empty containers, null pointers and the current class version. Users' functions see an input
/// archive.
class FingerprintArchive : public cereal::InputArchive<FingerprintArchive, cereal::AllowEmptyClassElision> {
    using Base = cereal::InputArchive<FingerprintArchive, cereal::AllowEmptyClassElision>;

public:
    /// `second_try`: memory is known to be available. A class that throws std::bad_alloc then asks for far too much,
    /// e.g. for an array of `0 - 1` elements, and is described as opaque. At the first try, describe() throws
    /// std::bad_alloc.
    explicit FingerprintArchive(bool second_try = false) : Base{this}, second_try_{second_try} {}

    // These functions hide those of the base.
    template <class... T>
    FingerprintArchive& operator()(T&&... values) {
        (take(values), ...);
        return *this;
    }
    template <class T>
    FingerprintArchive& operator&(T&& value) {
        return (*this)(value);
    }
    template <class T>
    FingerprintArchive& operator>>(T&& value) {
        return (*this)(value);
    }
    void serializeDeferments() {}

    /// Describes a type without an object of it. `is_made`: cereal constructs objects of this type.
    template <class T, bool is_made = false>
    void describe() {
        if constexpr (fingerprint_override<T> != 0) {
            add(ShapeWord::override, fingerprint_override<T>);
        } else if constexpr (std::is_void_v<T>) {
            add(ShapeWord::nothing);
        } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
            hash_.add_scalar<T>();
        } else if constexpr (std::is_array_v<T>) {
            add(ShapeWord::array, std::extent_v<T>);
            describe_part<std::remove_extent_t<T>>();
        } else if constexpr (is_unique_pointer<T> || is_shared_pointer<T>) {
            add(is_unique_pointer<T> ? ShapeWord::unique_pointer : ShapeWord::shared_pointer);
            describe_pointee<typename T::element_type>();
        } else if constexpr (is_library_type<T>) {
            describe_standard<T>();
        } else {
            describe_object<T, is_made>(nullptr);
        }
    }

    /// Returns the version of the class that is being described, and records that it was asked for.
    std::uint32_t read_version() noexcept {
        add(ShapeWord::versioned);
        return version_;
    }

    TypeShape result();

private:
    void add(ShapeWord word) noexcept { hash_.add(word); }
    void add(ShapeWord word, std::uint64_t number) noexcept { hash_.add(word, number); }

    template <class T>
    void describe_part() {
        describe<std::remove_cv_t<T>>();
    }

    template <class T>
    void describe_pointee() {
        if constexpr (std::is_polymorphic_v<T>) {
            add(ShapeWord::polymorphic);  // the class of the object is sent by name
            const TypeShape& (*shape)() = nullptr;
            if constexpr (!std::is_abstract_v<T>) shape = &shape_of<std::remove_cv_t<T>>;
            bases_.push_back({&typeid(T), shape});
        } else {
            describe<std::remove_cv_t<T>, true>();
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
            hash_.add(static_cast<std::uint64_t>(T::period::num));
            hash_.add(static_cast<std::uint64_t>(T::period::den));
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
            add_opaque(typeid(T), "a library type that is not supported");
        }
    }

    // Objects that users' functions read, some of them in cereal's wrappers.

    /// A `load` that waits for a value other than zero would never end without this bound.
    static constexpr std::size_t most_visits = 100'000;

    template <class T>
    void take(T& value) {
        if (++visits_ > most_visits) throw std::length_error{"it reads without end when it reads only zeros"};
        visit(value);
    }

    template <class T>
    void visit(T& object) {
        using Plain = std::remove_cv_t<T>;
        if constexpr (std::is_class_v<Plain> && !is_library_type<Plain> && fingerprint_override<Plain> == 0) {
            describe_object<Plain>(&object);
        } else {
            describe<Plain>();
            make_zero(object);
        }
    }
    template <class T>
    void visit(cereal::NameValuePair<T>& pair) {
        visit(pair.value);
    }
    template <class T>
    void visit(cereal::SizeTag<T>& tag) {
        add(ShapeWord::count);
        visit(tag.size);
    }
    template <class T>
    void visit(cereal::BinaryData<T>& binary) {
        using Element = std::remove_cv_t<std::remove_all_extents_t<std::remove_pointer_t<std::remove_reference_t<T>>>>;
        add(ShapeWord::binary, binary.size);
        if constexpr (std::is_arithmetic_v<Element>) hash_.add_scalar<Element>();
        if (binary.size != 0) std::memset(binary.data, 0, static_cast<std::size_t>(binary.size));
    }
    template <class Key, class Value>
    void visit(cereal::MapItem<Key, Value>& item) {
        visit(item.key);
        visit(item.value);
    }
    template <class T>
    void visit(cereal::DeferredData<T>& data) {
        add(ShapeWord::deferred);
        visit(data.value);
    }
    template <class T>
    void visit(cereal::base_class<T>& base) {
        add(ShapeWord::base);
        visit(*base.base_ptr);
    }
    template <class T>
    void visit(cereal::virtual_base_class<T>& base) {
        add(ShapeWord::base);
        visit(*base.base_ptr);
    }

    /// Describes a user's class. If `object` is null, an object is made. There is no trait that tells whether cereal
    /// may construct a class; but it does so for registered classes, and for objects behind pointers.
    template <class T, bool is_made = false>
    void describe_object(T* object) {
        if (is_open(typeid(T))) return;
        const Probing<T> probing;
        constexpr bool is_registered = requires {
            cereal::detail::binding_name<T>::name();
        };
        constexpr bool is_constructed_of_bytes = cereal::traits::has_load_and_construct<T, FingerprintArchive>::value;
        if constexpr (!std::is_abstract_v<T> && (std::is_default_constructible_v<T> ||
                                                 ((is_made || is_registered) && !is_constructed_of_bytes))) {
            if (!object) return describe_new_object<T>();
        }
        const std::uint32_t outer_version = open(typeid(T), cereal::detail::Version<T>::version);
        try {
            if (object) run(*object);
            else run_load_and_construct<T>();
        } catch (...) {  // the user's function does not accept zeros
            add_thrown(typeid(T));
        }
        // A user's own container is empty here, so its elements are described by type.
        if constexpr (RangeLike<T>) describe_part<typename T::value_type>();
        close(outer_version);
    }

    /// Whether a class is being described. If so, adds a reference to it instead of its description.
    bool is_open(std::type_index type);

    /// Begins the description of a class. Returns the version of the class around it, for close().
    std::uint32_t open(std::type_index type, std::uint32_t version);
    void close(std::uint32_t outer_version);

    /// Adds a class whose function threw. To be called in a catch block.
    void add_thrown(const std::type_info& type);

    /// Rethrows std::bad_alloc at the first try. To be called in a catch block. A shape is computed once for the life
    /// of the process, so a shortage of memory must not become part of it.
    void throw_if_out_of_memory() const;

    template <class T>
    void describe_new_object() {
        std::unique_ptr<T> object;
        try {
            object.reset(cereal::access::construct<T>());
        } catch (...) {
            throw_if_out_of_memory();
            return add_opaque(typeid(T), "its default constructor threw");
        }
        describe_object<T>(object.get());
    }

    template <class T>
    void run(T& object) {
        if constexpr (is_minimal<T>) {
            // Of save_minimal only the type that it returns matters.
            if constexpr (MinimalType<T>::versioned) read_version();
            describe<typename MinimalType<T>::type>();
        } else if constexpr (cereal::traits::is_input_serializable<T, FingerprintArchive>::value) {
            Base::operator()(object);  // cereal calls the user's function, whose reads come to visit()
        } else if constexpr (std::is_empty_v<T>) {
            add(ShapeWord::nothing);
        } else {
            add_opaque(typeid(T), "it has no function that loads it");
        }
    }

    /// Describes a class that may have no default constructor.
    template <class T>
    void run_load_and_construct() {
        if constexpr (!std::is_abstract_v<T> && cereal::traits::has_load_and_construct<T, FingerprintArchive>::value) {
            probe_load_and_construct<T, FingerprintArchive>([this](auto& wrapper) { this->Base::operator()(wrapper); });
        } else {
            add_opaque(typeid(T), "it has no default constructor");
        }
    }

    void add_opaque(const std::type_info& type, const std::string& why);

    const bool second_try_;
    ShapeHash hash_;
    std::vector<std::type_index> open_;  // the classes that are being described, the outermost first
    std::uint32_t version_ = 0;          // the version of the innermost one
    std::size_t visits_ = 0;
    std::vector<TypeShape::Base> bases_;
    std::vector<std::string> opaque_;
};

/// Cereal itself reads only one thing from the archive: the version of a class whose functions take it.
template <class T>
void serialize(FingerprintArchive& archive, cereal::NameValuePair<T>& pair) {
    pair.value = archive.read_version();
}

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/fingerprint_archive.ipp"
#endif
