#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "groups/value_store.hpp"
#include "journal/journal_thread.hpp"
#include "log.hpp"

namespace distwork {

/// A file that has the outcomes of a group, so that a program that was interrupted goes on where it stopped. It needs
/// SQLite: link `distwork::journal`, or `sqlite3`.
///
///     WorkGroup<Row> group{master, {.journal = Journal{"sweep.db", "version 2"}}};
///
/// A work is known again by its type, and by SubmitOptions::key; without one, by its bytes, and by how many works with the
/// same bytes were added before. Its value is read from the file then, and its Outcome is `is_kept`; execute_return is not
/// called. Other works are executed, and their values are in the file, on the disk, before their outcomes are read. Errors
/// are not kept: what failed is executed again. Works with unordered containers, whose bytes may differ from run to run,
/// need a key; their values may have some.
///
/// The file belongs to one object, in one program, at a time. Copies share it; several groups may use it, one after the
/// other in the same order in each run. When it cannot be written, its groups are cancelled, and their next reader gets
/// Error (journal_failed); what was read before is kept.
///
/// *Thread-safety*: all functions. *Lifetime*: a group keeps the file open until it is destroyed, and waits then until
/// its values are kept.
class Journal {
public:
    /// Opens or creates the file. Outcomes of another `version` are dropped: name a new one when the functions return
    /// other values than before. Blocks. *Errors*: throws Error (journal_failed: another program or object uses it, it is
    /// of another kind, or cannot be written; bad_option: no path), std::system_error.
    explicit Journal(const std::string& path, std::string_view version = {},
                     const Log& log = ConsoleLog{LogLevel::warning})
        : store_{std::make_shared<detail::JournalThread>(path, version, log)} {}

    /// For GroupOptions::journal.
    operator std::shared_ptr<detail::ValueStore>() const noexcept { return store_; }

private:
    std::shared_ptr<detail::ValueStore> store_;
};

}  // namespace distwork
