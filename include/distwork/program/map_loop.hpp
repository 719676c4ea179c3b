#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <iterator>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "../base/surely.hpp"
#include "../error.hpp"
#include "../groups/group_readers.hpp"
#include "../groups/map_source.hpp"
#include "../outcome.hpp"
#include "../progress_bar.hpp"
#include "../submit_options.hpp"
#include "../work_group.hpp"
#include "program_core.hpp"

namespace distwork::detail {

/// A range of outcomes as they complete, to be looped over once. The elements that become works are taken in the thread
/// that loops, between two outcomes. Made by Program::map.
template <class R>
class MapLoop {
public:
    class Iterator {
    public:
        using value_type = Outcome<R>;
        using difference_type = std::ptrdiff_t;

        Outcome<R>& operator*() const { return loop_->outcomes_.front(); }
        Outcome<R>* operator->() const { return &loop_->outcomes_.front(); }
        Iterator& operator++() {
            loop_->advance();
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return loop_->outcomes_.empty(); }

    private:
        friend MapLoop;
        explicit Iterator(MapLoop& loop) : loop_{&loop} {}
        MapLoop* loop_;
    };

    MapLoop(std::shared_ptr<ProgramCore> core, std::shared_ptr<ValueStore> journal)
        : core_{std::move(core)},
          context_{std::make_shared<asio::io_context>()},
          group_{core_->master(), group_options(*context_, std::move(journal))},
          bar_{core_->executor(), group_, core_->progress()} {}

    MapLoop(MapLoop&&) noexcept = default;
    MapLoop& operator=(MapLoop&&) = delete;
    ~MapLoop() {
        if (!context_) return;
        group_.cancel();
        // Nothing is posted to the context any more. What is left of the range is destroyed in this thread.
        context_->restart();
        context_->poll();
        // The I/O thread may still be in the function that posted last: it lets the context go after that.
        post_surely(core_->executor(), [kept = context_] {});
    }

    template <auto F, class Range>
    void add(Range&& range, SubmitOptions options) {
        add_elements<F>(PartsOf::core(group_), elements_of(std::forward<Range>(range)), std::move(options));
        group_.close();
    }

    /// Waits for the first outcome. To be called once.
    Iterator begin() {
        core_->check_thread();
        advance();
        return Iterator{*this};
    }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// The values in the order of the elements. Throws the first error, and cancels the rest. Blocks. After a Ctrl-C:
    /// Error (stopped).
    std::vector<R> values() requires(!std::is_void_v<R>) {
        std::vector<R> all;
        for (Outcome<R>& outcome : *this) {
            if (outcome.error) {
                group_.cancel();
                std::rethrow_exception(outcome.error);
            }
            if (all.size() <= outcome.index) all.resize(outcome.index + 1);
            all[outcome.index] = std::move(outcome.result);
        }
        if (core_->stop_token().stop_requested()) throw Error{Errc::stopped, "a map"};
        return all;
    }

private:
    static GroupOptions group_options(asio::io_context& context, std::shared_ptr<ValueStore> journal) {
        GroupOptions options;
        options.executor = context.get_executor();
        options.journal = std::move(journal);
        return options;
    }

    void advance() {
        do {
            if (!outcomes_.empty()) outcomes_.pop_front();
            if (outcomes_.empty()) read();
        } while (!outcomes_.empty() && is_omitted(outcomes_.front()));
    }

    /// What a stop kept from being sent.
    bool is_omitted(const Outcome<R>& outcome) const {
        return outcome.error && outcome.attempt == 0 && core_->stop_token().stop_requested();
    }

    /// What one read brought. Shared with its handler, which may be called after the read was given up.
    struct Read {
        bool is_done = false;
        std::exception_ptr failure;
        std::list<Outcome<R>> outcomes;
    };

    /// Reads the outcomes that there are, at least one; none at the end.
    void read() {
        constexpr std::size_t most = 1024;
        const auto read = std::make_shared<Read>();
        async_read<std::list<Outcome<R>>>(PartsOf::core(group_), most,
                                          [read](std::exception_ptr error, std::list<Outcome<R>> outcomes) {
                                              read->is_done = true;
                                              read->failure = std::move(error);
                                              read->outcomes = std::move(outcomes);
                                          });
        context_->restart();
        while (!read->is_done) {
            const std::size_t done = context_->run_one_for(std::chrono::milliseconds{100});
            if (done == 0 && core_->has_ended()) throw Error{Errc::stopped, "a map"};
        }
        context_->poll_one();  // takes elements that there is room for
        if (read->failure) std::rethrow_exception(read->failure);
        outcomes_ = std::move(read->outcomes);
    }

    std::shared_ptr<ProgramCore> core_;
    std::shared_ptr<asio::io_context> context_;
    WorkGroup<R> group_;
    ProgressBar bar_;                 // drawn on the I/O thread, also while the body of the loop runs
    std::list<Outcome<R>> outcomes_;  // the first one is the current one
};

}  // namespace distwork::detail
