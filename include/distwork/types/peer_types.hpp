#pragma once

#include <algorithm>
#include <cereal/types/string.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/vector.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/amounts.hpp"
#include "../error.hpp"
#include "../log.hpp"
#include "../version.hpp"
#include "../wire/frame.hpp"
#include "../wire/plain_fields.hpp"
#include "registry.hpp"
#include "type_set.hpp"
#include "type_table.hpp"

namespace distwork::detail {

/// Bounds of what a peer may say of itself. Its types are bounded by an option.
inline constexpr std::size_t max_labels = 256;
inline constexpr std::size_t max_label_bytes = 256;

/// A vector in an archive that is decoded only if it has no more elements than this, before there is memory for them.
template <std::size_t most, class T>
struct AtMost {
    std::vector<T>& all;

    template <class Archive>
    void save(Archive& archive) const {
        archive(all);
    }
    template <class Archive>
    void load(Archive& archive) {
        cereal::size_type count = 0;
        archive(cereal::make_size_tag(count));
        if (count > most)
            throw Error::with_text(Errc::malformed, "it has " + std::to_string(count) + " of what there may be " +
                                                        std::to_string(most) + " of");
        all.resize(static_cast<std::size_t>(count));
        for (T& each : all) archive(each);
    }
};
template <std::size_t most, class T>
AtMost<most, T> at_most(std::vector<T>& all) noexcept {
    return {all};
}

/// The body of a types frame. An accepted peer describes itself in it.
struct Introduction {
    std::uint32_t slots = 0;            ///< works that it executes at a time; 0 for a master
    std::uint32_t window = 0;           ///< unanswered works that it accepts at a time
    std::uint32_t max_frame_bytes = 0;  ///< the largest body that it accepts
    std::vector<std::string> labels;
    /// Name and fingerprint of each work type, by number; then of each polymorphic class that works may hold, marked by
    /// part_mark.
    std::vector<std::pair<std::string, std::uint64_t>> types;
    std::uint16_t version = newest_protocol_version;  ///< the agreed version; not a part of the body
    std::uint32_t held_slots = 0;        ///< how many of `slots` works of an earlier session occupy; since version 2
    Amounts amounts{};                   ///< of resources, in units of 1/10,000; since version 3
    std::vector<std::string> indexed{};  ///< those of `amounts` whose units are told apart; since version 3

    template <class Archive>
    void serialize(Archive& archive) {
        archive(slots, window, max_frame_bytes, at_most<max_labels>(labels), types);
        if (version >= 2) archive(held_slots);
        if (version >= 3) archive(at_most<most_amounts>(amounts), at_most<most_amounts>(indexed));
    }
};

/// Whether a slave may offer these labels.
inline bool are_labels(const std::vector<std::string>& labels) noexcept {
    const auto is_short = [](const std::string& label) { return label.size() <= max_label_bytes; };
    return labels.size() <= max_labels && std::all_of(labels.begin(), labels.end(), is_short);
}

/// Marks the name of a polymorphic class that works may hold, in the table of types. These names follow the work types,
/// so their positions are not numbers of works. A peer that does not know the mark finds no type of such a name, and
/// ignores the entry.
inline constexpr char part_mark = '*';

/// Why a peer cannot be taken at its word; null: it can. `max_types`: the names that it may have in its table.
inline const char* why_invalid(const Introduction& peer, std::size_t max_types) noexcept {
    const auto is_long = [](const auto& type) { return type.first.size() > max_name_bytes + 1; };  // and part_mark
    if (peer.window == 0 || peer.max_frame_bytes < least_max_frame_bytes)
        return "its window or its max_frame_bytes is too small";
    if (peer.held_slots > peer.slots) return "it holds more slots than it has";
    if (!are_labels(peer.labels)) return "it has more than 256 labels, or one of more than 256 bytes";
    if (peer.amounts.size() > most_amounts || peer.indexed.size() > most_amounts) return "it has more than 64 amounts";
    if (peer.types.size() > max_types) return "it has more types than LinkOptions::max_types of this end";
    if (std::any_of(peer.types.begin(), peer.types.end(), is_long)) return "a type's name has more than 256 bytes";
    return nullptr;
}

/// Whether the types of `later`, which a peer sent after `earlier`, keep the numbers that they had.
inline bool keeps_numbers(const Introduction& earlier, const Introduction& later) noexcept {
    const auto is_work = [](const auto& type) { return !type.first.starts_with(part_mark); };
    const auto end = std::find_if_not(earlier.types.begin(), earlier.types.end(), is_work);
    const auto count = end - earlier.types.begin();
    return count <= static_cast<std::ptrdiff_t>(later.types.size()) &&
           std::equal(earlier.types.begin(), end, later.types.begin());
}

/// Our table of types as it was last sent to the peer. The works that the peer sends carry these numbers.
class OwnTypes {
public:
    /// Takes the current table, and writes it into `introduction`, which is sent to the peer. A type that is not among
    /// the accepted ones keeps its number and has no name. `accepted`: null or empty: all are.
    void tell(RoleTypes& types, const TypeSet* accepted, Introduction& introduction) {
        told_ = types.table();
        introduction.types.clear();
        const bool are_all = !accepted || accepted->empty();
        for (std::size_t number = 0; number < told_->types.size(); ++number) {
            const WorkType& type = *told_->types[number];
            const bool is_told = are_all || accepted->contains(type);
            introduction.types.emplace_back(is_told ? type.name : std::string{}, told_->fingerprints[number]);
        }
        for (const auto& [name, fingerprint] : told_->parts)
            introduction.types.emplace_back(part_mark + name, fingerprint);
    }

    /// Whether types were registered since the table was last sent. False before it was sent the first time.
    bool grew(const RoleTypes& types) const { return told_ && !types.is_current(*told_); }

    const std::shared_ptr<const TypeTable>& told() const noexcept { return told_; }
    const WorkType* find(std::size_t number) const noexcept {
        return told_ && number < told_->types.size() ? told_->types[number] : nullptr;
    }

private:
    std::shared_ptr<const TypeTable> told_;
};

/// The peer's numbers for our types.
class PeerTypes {
public:
    // Reasons why a type has no number. All of them exceed every number.
    static constexpr std::uint32_t unknown = 0x1'0000;
    static constexpr std::uint32_t differs = 0x1'0001;
    static constexpr std::uint32_t foreign = 0x1'0002;

    PeerTypes() = default;

    PeerTypes(std::shared_ptr<const TypeTable> ours, const Introduction& peer) : ours_{std::move(ours)} {
        // Sorted, not hashed: a peer can choose names that have one hash.
        std::map<std::string_view, std::uint32_t> theirs;
        for (std::uint32_t number = 0; number < peer.types.size() && number < unknown; ++number)
            theirs.emplace(peer.types[number].first, number);
        std::vector<bool> part_differs;
        for (const auto& [name, fingerprint] : ours_->parts) {
            const auto found = theirs.find(part_mark + name);
            part_differs.push_back(found != theirs.end() && peer.types[found->second].second != fingerprint);
        }
        for (std::size_t number = 0; number < ours_->types.size(); ++number) {
            const std::string& name = ours_->types[number]->name;
            const auto found = theirs.find(name);
            if (found == theirs.end()) {
                numbers_.push_back(unknown);
                unknown_.push_back(name);
                continue;
            }
            numbers_.push_back(found->second);
            if (peer.types[found->second].second != ours_->fingerprints[number]) {
                numbers_.back() = differs;
                differing_.push_back(name);
            }
            for (const std::size_t part : ours_->parts_of[number]) {
                if (!part_differs[part] || numbers_.back() == differs) continue;
                numbers_.back() = differs;
                differing_parts_.push_back(name + " may hold " + ours_->parts[part].first);
            }
            theirs.erase(found);
        }
        for (const auto& [name, number] : theirs)
            if (!name.empty() && !name.starts_with(part_mark)) not_ours_.emplace_back(name);
    }

    /// The peer's number for a type, or the reason why there is none. The type must be the one that has its number in
    /// our table: a type of another registry may have the same number.
    std::uint32_t number(const WorkType& type) const noexcept {
        if (type.number >= numbers_.size() || ours_->types[type.number] != &type) [[unlikely]]
            return type.registry ? absent(type) : foreign;
        return numbers_[type.number];
    }
    std::error_code why_unknown(const WorkType& type) const noexcept {
        switch (number(type)) {
            case differs: return Errc::shape_differs;
            case foreign: return Errc::foreign_type;
            default: return Errc::unknown_type;
        }
    }
    bool knows(const WorkType& type) const noexcept { return number(type) < unknown; }

    /// For each of our types, by number: whether the peer has it.
    std::vector<bool> known() const {
        std::vector<bool> known(numbers_.size());
        for (std::size_t number = 0; number < numbers_.size(); ++number) known[number] = numbers_[number] < unknown;
        return known;
    }

    void log_differences(const Log& log, const std::string& peer) const {
        if (!log) return;
        for_some(differing_, [&](const std::string& name) {
            log(LogLevel::warning, "Type " + name + " has another shape at " + peer + ": it is not exchanged");
        });
        for_some(differing_parts_, [&](const std::string& names) {
            log(LogLevel::warning, "Type " + names + ", which has another shape at " + peer + ": it is not exchanged");
        });
        for_some(unknown_,
                 [&](const std::string& name) { log(LogLevel::info, "Type " + name + " is not known at " + peer); });
        for_some(not_ours_, [&](const std::string& name) {
            log(LogLevel::info, "Type " + name + " of " + peer + " is not known here");
        });
    }

    const std::vector<std::string>& differing() const noexcept { return differing_; }
    const std::vector<std::string>& unknown_names() const noexcept { return unknown_; }

private:
    /// Calls `line(name)` for the first few, and for one that stands for the rest: what a peer says of itself cannot fill
    /// the log.
    template <class Line>
    static void for_some(const std::vector<std::string>& names, Line line) {
        constexpr std::size_t most = 8;
        for (std::size_t i = 0; i < std::min(names.size(), most); ++i) line(names[i]);
        if (names.size() > most) line("(" + std::to_string(names.size() - most) + " others)");
    }

    /// The reason for a type that is not in our table: it was registered later, or in another registry.
    std::uint32_t absent(const WorkType& type) const noexcept {
        const bool is_ours = !ours_ || ours_->types.empty() || type.registry == ours_->types.front()->registry;
        return is_ours ? unknown : foreign;
    }

    std::shared_ptr<const TypeTable> ours_;
    std::vector<std::uint32_t> numbers_;  // the peer's, by our number
    std::vector<std::string> differing_;
    std::vector<std::string> differing_parts_;
    std::vector<std::string> unknown_;
    std::vector<std::string> not_ours_;
};

}  // namespace distwork::detail
