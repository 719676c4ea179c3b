#pragma once

// What DISTWORK_PROBE names: marks that the simulated runs reach, and bugs that they must find.

#include <array>
#include <cstdint>
#include <string_view>

// It takes these for nested calls.
// clang-format off
#define DISTWORK_FOR_MARKS(X)                                                                                   \
    X(retry) X(lost_for_good) X(freed_requeue) X(late_answer) X(heartbeat_death) X(cancel_waiting)              \
    X(cancel_backlog) X(cancel_returning) X(cancel_in_flight) X(cancel_queued_at_slave) X(cancel_running)       \
    X(cancel_lost_the_race) X(queue_timeout) X(deadline) X(execution_timeout) X(backlog_full) X(outbox_full)    \
    X(stalled) X(partial_write) X(partial_write_then_reset) X(drain_with_works) X(refused_version)              \
    X(second_master) X(executed_twice) X(reconnect) X(no_capable_slave) X(malformed) X(requeued)                \
    X(suspected) X(answers_wait) X(frozen_master) X(cancel_in_outbox) X(duplicate_answer) X(went_over) X(came_back) X(strange_master) X(mass_death) \
    X(recalled) X(returned) X(held_slot) X(parked) X(suspended_work) X(tree) X(woke_late) X(froze_together) \
    X(group_waited) X(group_ran_dry) X(group_cancelled) X(group_addition_waited) \
    X(chunk_partly_answered) X(chunk_cut_short) X(chunk_split) X(chunk_retry) X(second_copy) X(second_copy_won) X(preferred) X(kept_free) \
    X(unproven_slave) X(unproven_stranger)

#define DISTWORK_FOR_BUGS(X)                                                                                    \
    X(forget_the_requeue) X(deliver_twice) X(drop_on_cancel) X(leak_credit) X(ignore_at_most_once)              \
    X(swallow_the_exception) X(no_second_look) X(ignore_queue_timeout) X(ignore_deadline)                       \
    X(no_retry) X(retry_unasked) X(never_silent) X(no_reconnect) X(unbounded_backlog) X(unbounded_line)         \
    X(forget_to_count) X(no_cancel_frame) X(leak_a_slot) X(forget_an_answer) X(write_twice)                     \
    X(resend_a_part_of_a_broadcast) X(drain_at_once) X(ignore_the_generation) X(first_master_only)          \
    X(blame_a_waiting_work) X(free_a_begun_work) X(run_one_more) X(never_ask_to_stop) X(knock_at_once)          \
    X(count_the_lost_as_failed) X(free_a_slot_that_is_taken) X(judge_at_once)                                \
    X(wait_beside_a_free_slot) X(never_stuck) X(never_recall) X(forget_to_return) X(blame_a_recalled_work)       \
    X(execute_what_was_returned) X(ignore_a_given_slot) X(keep_the_slot) X(forget_children) \
    X(let_a_group_sleep) X(forget_what_was_unsent) X(end_a_group_early) X(keep_the_elements) \
    X(forget_the_rest_of_a_chunk) X(repeat_a_whole_chunk) X(begin_before_the_start) X(let_nobody_go) X(forget_who_pauses) X(lose_a_second_copy) X(insist_on_affinity) X(forget_amounts) \
    X(never_forgive)

// Those of the decisions of a factory, which a storm of their own finds.
#define DISTWORK_FOR_FACTORY_BUGS(X)                                                                            \
    X(exceed_the_most) X(flood_the_queue) X(start_all_at_once) X(skip_the_dry_run) X(submit_for_ever)           \
    X(start_what_fails) X(blame_the_cancelled) X(blame_the_unreachable) X(believe_the_engine) X(forget_at_once) \
    X(wait_for_the_forgotten) X(wait_for_the_silent) X(drain_below_the_least) X(forget_what_starts_late) \
    X(trust_before_the_first)
// clang-format on

namespace distwork::test {

enum class Mark : std::size_t {
#define X(name) name,
    DISTWORK_FOR_MARKS(X)
#undef X
        count
};

enum class Bug : std::size_t {
    none,
#define X(name) name,
    DISTWORK_FOR_BUGS(X) DISTWORK_FOR_FACTORY_BUGS(X)
#undef X
        count
};

/// The bugs from 1 up to this one are those of the roles, the others those of a factory.
inline constexpr std::size_t first_factory_bug = 1
#define X(name) +1
    DISTWORK_FOR_BUGS(X)
#undef X
    ;

inline constexpr std::array mark_names{
#define X(name) std::string_view{#name},
    DISTWORK_FOR_MARKS(X)
#undef X
};

inline constexpr std::array bug_names{std::string_view{"none"},
#define X(name) std::string_view{#name},
                                      DISTWORK_FOR_BUGS(X) DISTWORK_FOR_FACTORY_BUGS(X)
#undef X
};

inline std::array<std::uint64_t, static_cast<std::size_t>(Mark::count)> marks{};
inline Bug planted = Bug::none;

inline void reach(Mark mark) noexcept {
    ++marks[static_cast<std::size_t>(mark)];
}

}  // namespace distwork::test

#define DISTWORK_MARK(name) ::distwork::test::reach(::distwork::test::Mark::name)
#define DISTWORK_PLANTED(name) (::distwork::test::planted == ::distwork::test::Bug::name)
