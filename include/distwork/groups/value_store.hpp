#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../base/sip_hash.hpp"
#include "../error.hpp"
#include "../types/registry.hpp"
#include "../wire/byte_buffer.hpp"

namespace distwork::detail {

/// What tells a work from all others, in this run of the program and in the next.
struct StoredId {
    SipHash::Digest hash{};        ///< of its type and shape, and of its key or its body
    std::uint32_t occurrence = 0;  ///< so many works with the same body were added before; set by ValueStore::find
    bool has_key = false;          ///< it has a key: then it is always the first
};

/// A value that is looked for, or that is to be kept.
struct StoredValue {
    StoredId id;
    bool is_kept = false;  ///< whether `find` found it
    ByteBuffer bytes{};    ///< as in an answer frame
};

/// Keeps the values of a group from one run of its program to the next: see Journal. Requests are handled in the order
/// in which they come, many at a time, on a thread of the store.
///
/// *Thread-safety*: all functions.
class ValueStore {
public:
    /// Values, and what happens once the store is done with them.
    class Request {
    public:
        virtual ~Request() = default;
        /// Called once, on the store's thread. `error`: nothing was done. Then the request is destroyed.
        virtual void done(std::exception_ptr error) noexcept = 0;

        std::vector<StoredValue> values;

        /// The bytes of all values.
        std::size_t bytes() const noexcept {
            std::size_t all = 0;
            for (const StoredValue& value : values) all += value.bytes.size();
            return all;
        }
    };

    virtual ~ValueStore() = default;

    /// Looks for the values of these works, and counts their occurrences.
    virtual void find(std::unique_ptr<Request> request) noexcept = 0;
    /// Keeps these values: when it is done, they survive the end of the process and of the machine.
    virtual void keep(std::unique_ptr<Request> request) noexcept = 0;
    /// Blocks until the requests that came before were done, and were destroyed.
    virtual void finish() noexcept = 0;

    /// The key of its hashes, which is another one for each file.
    virtual const SipHash::Key& hash_key() const noexcept = 0;
};

/// The id of a work. `is_canonical`: equal works have equal bodies. *Errors*: throws Error (needs_key).
inline StoredId stored_id(const SipHash::Key& hash_key, const WorkType& type, std::string_view key,
                          std::span<const std::byte> body, bool is_canonical) {
    if (key.empty() && !is_canonical)
        throw Error::with_text(Errc::needs_key, type.name +
                                                    " has an unordered container, whose bytes may differ from "
                                                    "run to run: in a group with a journal, set "
                                                    "SubmitOptions::key");
    SipHash hash{hash_key};
    hash.add(type.fingerprint());
    hash.add(type.name.size());
    hash.add(type.name);
    hash.add(key.size());
    if (key.empty()) hash.add(body);
    else hash.add(key);
    return {hash.finish(), 0, !key.empty()};
}

}  // namespace distwork::detail
