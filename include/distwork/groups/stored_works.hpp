#pragma once

#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <type_traits>
#include <utility>

#include "../archive/codec.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"
#include "../outcome.hpp"
#include "group_flow.hpp"
#include "group_submission.hpp"
#include "value_store.hpp"

// In a group with a journal, a work passes these stations: WorkLookup; if it is not found, MissingWork, and then it is
// submitted; and when it has succeeded, KeptOutcomes.

namespace distwork::detail {

template <class R>
class GroupCore;

/// Outcomes that readers get once their values are kept.
template <class R>
class KeptOutcomes final : public ValueStore::Request {
public:
    explicit KeptOutcomes(std::shared_ptr<GroupCore<R>> core) : core_{std::move(core)} {}

    void done(std::exception_ptr error) noexcept override {
        if (error) core_->fail(std::move(error));
        else core_->tell(std::move(outcomes));
        core_->flow().kept(values.size(), bytes());
    }

    std::list<Outcome<R>> outcomes;

private:
    const std::shared_ptr<GroupCore<R>> core_;
};

/// A work whose value was not found. It is submitted when there is room.
template <class R>
class MissingWork final : public Addition {
public:
    MissingWork(std::shared_ptr<GroupCore<R>> core, std::shared_ptr<GroupSubmission> work)
        : core_{std::move(core)}, work_{std::move(work)} {}

    void begin() noexcept override {
        const std::size_t bytes = work_->body_bytes();
        if (auto error = exception_of([&] { core_->flow().submit(work_, true); })) return fail(std::move(error));
        core_->flow().looked_for(1, bytes);
    }

    void fail(std::exception_ptr error) noexcept override {
        std::list<Outcome<R>> one = surely([] { return std::list<Outcome<R>>(1); });
        one.front().index = work_->index;
        one.front().error = std::move(error);
        core_->tell(std::move(one));
        core_->flow().looked_for(1, work_->body_bytes());
    }

private:
    const std::shared_ptr<GroupCore<R>> core_;
    const std::shared_ptr<GroupSubmission> work_;
};

/// Decodes a value that was found. Returns false if it does not decode: then it was not found.
template <class R>
bool decode_kept(const StoredValue& found, R& value, const ArchiveLimits& limits) noexcept {
    return found.is_kept && !exception_of([&] { decode(found.bytes.view(), value, limits); });
}

/// A work whose value is looked for.
template <class R>
class WorkLookup final : public ValueStore::Request {
public:
    WorkLookup(std::shared_ptr<GroupCore<R>> core, std::shared_ptr<GroupSubmission> work)
        : core_{std::move(core)}, work_{std::move(work)} {}

    void done(std::exception_ptr error) noexcept override {
        const std::size_t bytes = work_->body_bytes();
        if (error) {
            core_->fail(std::move(error));
        } else {
            std::list<Outcome<R>> one = surely([] { return std::list<Outcome<R>>(1); });
            Outcome<R>& outcome = one.front();
            outcome.index = work_->index;
            if constexpr (std::is_void_v<R>) outcome.is_kept = values.front().is_kept;
            else outcome.is_kept = decode_kept(values.front(), outcome.result, core_->flow().scheduler()->limits());
            if (!outcome.is_kept) return submit();
            core_->tell(std::move(one));
        }
        core_->flow().looked_for(1, bytes);
    }

private:
    void submit() noexcept {
        surely([&] { work_->stored = std::make_unique<StoredValue>(StoredValue{values.front().id}); });
        core_->flow().add_missing(surely([&] { return std::make_shared<MissingWork<R>>(core_, work_); }));
    }

    const std::shared_ptr<GroupCore<R>> core_;
    const std::shared_ptr<GroupSubmission> work_;
};

}  // namespace distwork::detail
