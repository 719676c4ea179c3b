#pragma once

#include <sqlite3.h>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "../error.hpp"

namespace distwork::detail {

/// A connection to an SQLite database, for one thread at a time. *Errors*: functions throw Error (journal_failed), which
/// names the file and says what SQLite says.
class Database {
public:
    explicit Database(std::string path) : path_{std::move(path)} {
        sqlite3* opened = nullptr;
        const int result = sqlite3_open_v2(path_.c_str(), &opened,
                                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
        handle_.reset(opened);
        check(result);
        if (sqlite3_db_readonly(opened, "main") == 1) fail("it cannot be written");
        sqlite3_extended_result_codes(opened, 1);
    }

    sqlite3* get() const noexcept { return handle_.get(); }
    const std::string& path() const noexcept { return path_; }

    void execute(const char* sql) const { check(sqlite3_exec(get(), sql, nullptr, nullptr, nullptr)); }

    void check(int result) const {
        if (result != SQLITE_OK && result != SQLITE_ROW && result != SQLITE_DONE) fail(result);
    }

    [[noreturn]] void fail(std::string_view why) const {
        throw Error::with_text(Errc::journal_failed, "journal " + path_ + ": " + std::string{why});
    }

private:
    [[noreturn]] void fail(int result) const {
        if ((result & 0xff) == SQLITE_BUSY) fail("another program uses it");
        if ((result & 0xff) == SQLITE_NOTADB) fail("it is a file of another kind");
        // Without a handle, for want of memory, there is no message.
        fail(get() ? sqlite3_errmsg(get()) : sqlite3_errstr(result));
    }

    struct Close {
        void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
    };
    const std::string path_;
    std::unique_ptr<sqlite3, Close> handle_;
};

/// A prepared statement. *Lifetime*: ends before its database.
class Statement {
public:
    /// May only be assigned to.
    Statement() noexcept = default;
    Statement(const Database& database, std::string_view sql) : database_{&database} {
        sqlite3_stmt* made = nullptr;
        database.check(sqlite3_prepare_v2(database.get(), sql.data(), static_cast<int>(sql.size()), &made, nullptr));
        handle_.reset(made);
    }

    /// Bytes and text are referred to until the statement was executed.
    ///@{
    Statement& bind(int place, std::span<const std::byte> bytes) {
        reset();  // something may have thrown since its last step
        // A null pointer would be bound as NULL.
        return bound(sqlite3_bind_blob64(handle_.get(), place,
                                         bytes.empty() ? "" : static_cast<const void*>(bytes.data()), bytes.size(),
                                         SQLITE_STATIC));
    }
    Statement& bind(int place, std::string_view text) {
        reset();
        return bound(sqlite3_bind_text64(handle_.get(), place, text.empty() ? "" : text.data(), text.size(),
                                         SQLITE_STATIC, SQLITE_UTF8));
    }
    ///@}

    /// Executes it up to its next row; then `column` may be read. False: there is none, and it may be bound anew.
    bool step() {
        const int result = sqlite3_step(handle_.get());
        if (result == SQLITE_ROW) return true;
        sqlite3_reset(handle_.get());
        database_->check(result);
        return false;
    }
    /// Executes it to its end, with or without rows.
    void run() {
        while (step()) {
        }
    }
    /// After the last row that is of interest.
    void reset() noexcept { sqlite3_reset(handle_.get()); }

    std::int64_t number(int column) const noexcept { return sqlite3_column_int64(handle_.get(), column); }
    /// Valid until the next step.
    std::span<const std::byte> bytes(int column) const noexcept {
        const auto* const data = static_cast<const std::byte*>(sqlite3_column_blob(handle_.get(), column));
        return {data, data ? static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column)) : 0};
    }
    std::string text(int column) const {
        const auto found = bytes(column);
        return {reinterpret_cast<const char*>(found.data()), found.size()};
    }

private:
    Statement& bound(int result) {
        database_->check(result);
        return *this;
    }

    struct Finalize {
        void operator()(sqlite3_stmt* handle) const noexcept { sqlite3_finalize(handle); }
    };
    const Database* database_ = nullptr;
    std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

/// A transaction, which is undone unless it is committed.
class Transaction {
public:
    explicit Transaction(const Database& database, const char* begin = "BEGIN") : database_{database} {
        database_.execute(begin);
    }
    Transaction(const Transaction&) = delete;
    ~Transaction() {
        if (!is_committed_ && sqlite3_get_autocommit(database_.get()) == 0)
            sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    void commit() {
        database_.execute("COMMIT");
        is_committed_ = true;
    }

private:
    const Database& database_;
    bool is_committed_ = false;
};

}  // namespace distwork::detail
