#pragma once

#include <algorithm>
#include <cereal/types/string.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/vector.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "error.hpp"
#include "log.hpp"
#include "registry.hpp"
#include "version.hpp"

namespace distwork {

/// The body of a types frame: what a peer that was accepted says of itself, through the archive.
struct Introduction {
    std::uint32_t slots = 0;            ///< works it executes at a time; 0 for a master
    std::uint32_t window = 0;           ///< works it holds at a time, unanswered
    std::uint32_t max_frame_bytes = 0;  ///< bodies it takes
    std::vector<std::string> labels;
    std::vector<std::pair<std::string, std::uint64_t>> types;  ///< by number: name and fingerprint
    std::uint16_t version = newest_protocol_version;           ///< that was agreed on; not a part of the body
    std::uint32_t held_slots = 0;  ///< of `slots`, occupied by works of an earlier session; since version 2

    template <class Archive>
    void serialize(Archive& archive) {
        archive(slots, window, max_frame_bytes, labels, types);
        if (version >= 2) archive(held_slots);
    }
};

/// Our table of types as the peer was last told of it: its works carry these numbers.
class OwnTypes {
public:
    /// Takes the table as it is now, and has the peer told.
    void tell(Introduction& introduction) {
        told_ = Registry::instance().types();
        introduction.types.clear();
        for (const WorkType* type : told_) introduction.types.emplace_back(type->name, type->fingerprint());
    }

    bool grew() const { return Registry::instance().size() != told_.size(); }
    const std::vector<const WorkType*>& told() const noexcept { return told_; }
    const WorkType* find(std::size_t number) const noexcept { return number < told_.size() ? told_[number] : nullptr; }

private:
    std::vector<const WorkType*> told_;
};

/// The receiver's numbers for our types.
class PeerTypes {
public:
    static constexpr std::uint32_t unknown = 0x1'0000;
    static constexpr std::uint32_t differs = 0x1'0001;

    PeerTypes() = default;

    PeerTypes(const std::vector<const WorkType*>& ours, const Introduction& peer) {
        std::unordered_map<std::string_view, std::uint32_t> theirs;
        for (std::uint32_t number = 0; number < peer.types.size() && number < unknown; ++number)
            theirs.emplace(peer.types[number].first, number);
        numbers_.assign(ours.size(), unknown);
        for (const WorkType* type : ours) {
            const auto found = theirs.find(type->name);
            if (found == theirs.end()) {
                unknown_.push_back(type->name);
            } else if (peer.types[found->second].second != type->fingerprint()) {
                numbers_[type->number] = differs;
                differing_.push_back(type->name);
            } else {
                numbers_[type->number] = found->second;
            }
            if (found != theirs.end()) theirs.erase(found);
        }
        for (const auto& [name, number] : theirs) not_ours_.emplace_back(name);
        std::sort(not_ours_.begin(), not_ours_.end());
    }

    /// The peer's number, or why there is none.
    std::uint32_t number(const WorkType& type) const noexcept {
        return type.number < numbers_.size() ? numbers_[type.number] : unknown;
    }
    std::error_code why_unknown(const WorkType& type) const noexcept {
        return number(type) == differs ? Errc::shape_differs : Errc::unknown_type;
    }
    bool knows(const WorkType& type) const noexcept { return number(type) < unknown; }

    /// For each of our types by number: whether the peer has it.
    std::vector<bool> known() const {
        std::vector<bool> known(numbers_.size());
        for (std::size_t number = 0; number < numbers_.size(); ++number) known[number] = numbers_[number] < unknown;
        return known;
    }

    void log_differences(const Log& log, const std::string& peer) const {
        if (!log) return;
        for (const std::string& name : differing_)
            log(LogLevel::warning, "Type " + name + " has another shape at " + peer + ": it is not exchanged");
        for (const std::string& name : unknown_) log(LogLevel::info, "Type " + name + " is not known at " + peer);
        for (const std::string& name : not_ours_)
            log(LogLevel::info, "Type " + name + " of " + peer + " is not known here");
    }

    const std::vector<std::string>& differing() const noexcept { return differing_; }
    const std::vector<std::string>& unknown_names() const noexcept { return unknown_; }

private:
    std::vector<std::uint32_t> numbers_;
    std::vector<std::string> differing_;
    std::vector<std::string> unknown_;
    std::vector<std::string> not_ours_;
};

}  // namespace distwork
