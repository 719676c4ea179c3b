#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <typeinfo>
#include <utility>
#include <vector>

#include "../base/surely.hpp"
#include "../dispatch/submission.hpp"
#include "../roles/start_works.hpp"
#include "../types/registry.hpp"
#include "../wire/byte_buffer.hpp"

namespace distwork::detail {

/// One start work for one slave.
class StartSubmission final : public Submission {
public:
    StartSubmission(const WorkType& type, std::shared_ptr<StartWorks> all, std::shared_ptr<const StartWorks::Item> item,
                    std::uint64_t slave)
        : Submission{type}, all_{std::move(all)}, item_{std::move(item)} {
        set_body(item_->body);
        pinned = slave;
        is_part = is_start = true;
    }

    const IWork& work() const noexcept override { return *item_->work; }
    void succeed(std::span<const std::byte>, const std::shared_ptr<Peer>&) noexcept override {}
    void fail(std::exception_ptr error) noexcept override { error_ = std::move(error); }
    void deliver(std::shared_ptr<Call> call) override {
        const auto all = all_;
        const auto slave = pinned;
        const auto error = std::move(error_);
        call.reset();
        all->ended(slave, error);
    }

private:
    const std::shared_ptr<StartWorks> all_;
    const std::shared_ptr<const StartWorks::Item> item_;
    std::exception_ptr error_;
};

DISTWORK_DECL void StartWorks::add(std::shared_ptr<const IWork> work) {
    const auto item = std::make_shared<Item>();
    const auto body = std::make_shared<ByteBuffer>();
    const IWork& object = *work;
    const WorkType& type = work_type_of(typeid(object));
    type.encode(object, *body, scheduler_->limits());
    static_cast<void>(scheduler_->registry().own(type));
    item->work = std::move(work);
    item->body = {body->view(), body};
    std::vector<std::uint64_t> idle;
    {
        const std::lock_guard lock{mutex_};
        idle.reserve(slaves_.size());
        items_.push_back(item);
        for (auto& [socket, slave] : slaves_) {
            if (std::exchange(slave.is_busy, true)) continue;
            idle.push_back(socket);
            actions_.hold(socket);
        }
    }
    actions_.notice();
    for (const auto socket : idle) go_on(socket);
}

DISTWORK_DECL void StartWorks::begin(std::uint64_t socket, std::function<void()> ready) {
    {
        const std::lock_guard lock{mutex_};
        slaves_[socket].ready = std::move(ready);
    }
    go_on(socket);
}

DISTWORK_DECL void StartWorks::forget(std::uint64_t socket) noexcept {
    const std::lock_guard lock{mutex_};
    slaves_.erase(socket);
}

DISTWORK_DECL void StartWorks::go_on(std::uint64_t socket) noexcept {
    std::shared_ptr<const Item> next;
    std::function<void()> ready;
    {
        const std::lock_guard lock{mutex_};
        const auto at = slaves_.find(socket);
        if (at == slaves_.end()) return;
        if (at->second.done != items_.size()) {
            next = items_[at->second.done];
        } else {
            at->second.is_busy = false;
            ready.swap(at->second.ready);
            actions_.release(socket);
        }
    }
    if (!next) {
        actions_.notice();
        if (ready) static_cast<void>(exception_of(ready));
        return;
    }
    const IWork& object = *next->work;
    const auto work = surely([&] {
        return std::make_shared<StartSubmission>(work_type_of(typeid(object)), shared_from_this(), next, socket);
    });
    surely([&] { work->enter(scheduler_->registry()); });
    scheduler_->submit_encoded(work);
}

DISTWORK_DECL void StartWorks::ended(std::uint64_t socket, const std::exception_ptr& error) noexcept {
    if (error) return actions_.fail(socket, error);
    {
        const std::lock_guard lock{mutex_};
        const auto at = slaves_.find(socket);
        if (at == slaves_.end()) return;
        ++at->second.done;
    }
    go_on(socket);
}

}  // namespace distwork::detail
