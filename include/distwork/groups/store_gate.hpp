#pragma once

#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "../base/sip_hash.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"
#include "value_store.hpp"

namespace distwork::detail {

/// A group's way to its store. The end of the group closes it: then nothing of the group is with the store, whose thread
/// would touch executors that need not live any longer, and the group no longer keeps the store.
///
/// *Thread-safety*: all functions.
class StoreGate {
public:
    explicit StoreGate(std::shared_ptr<ValueStore> store) : hash_key_{store->hash_key()}, store_{std::move(store)} {}

    const SipHash::Key& hash_key() const noexcept { return hash_key_; }

    // As those of the store. Once it is closed, requests are done at once, with Errc::cancelled.

    void find(std::unique_ptr<ValueStore::Request> request) noexcept { pass(&ValueStore::find, std::move(request)); }
    void keep(std::unique_ptr<ValueStore::Request> request) noexcept { pass(&ValueStore::keep, std::move(request)); }

    /// Blocks until the store is done with all requests.
    void close() noexcept {
        std::shared_ptr<ValueStore> store;
        {
            const std::lock_guard lock{mutex_};
            store.swap(store_);
        }
        if (store) store->finish();
    }

private:
    void pass(void (ValueStore::*how)(std::unique_ptr<ValueStore::Request>) noexcept,
              std::unique_ptr<ValueStore::Request> request) noexcept {
        {
            const std::lock_guard lock{mutex_};
            if (store_) return (*store_.*how)(std::move(request));
        }
        request->done(exception_of([] { throw Error{Errc::cancelled, "a group"}; }));
    }

    const SipHash::Key hash_key_;
    std::mutex mutex_;
    std::shared_ptr<ValueStore> store_;  // guarded by mutex_
};

}  // namespace distwork::detail
