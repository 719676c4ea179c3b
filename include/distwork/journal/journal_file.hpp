#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "../base/sip_hash.hpp"
#include "../error.hpp"
#include "../groups/value_store.hpp"
#include "../log.hpp"
#include "../wire/byte_buffer.hpp"
#include "../wire/endian.hpp"
#include "database.hpp"
#include "file_system.hpp"

namespace distwork::detail {

/// The file of a Journal: an SQLite database of values by the ids of their works.
///
/// The program has it for itself while it is open: so the write-ahead log needs no shared memory. On the file system of
/// another machine there is a rollback journal instead, which is slower.
///
/// New outcomes are appended to the table `fresh`: inserted by their ids, which are random, each would cost a page of the
/// write-ahead log. The next time that the file is opened they are moved to `outcomes`, in the order of their ids.
///
/// *Thread-safety*: one thread at a time. *Errors*: functions throw Error (journal_failed).
class JournalFile {
public:
    static constexpr std::uint32_t application_id = 0x64776a6c;  // "dwjl", at byte 68 of the file

    /// Opens or creates it. If its version is another, its values are dropped.
    JournalFile(const std::string& path, std::string_view version, const Log& log) : database_{checked(path)} {
        sqlite3_busy_timeout(database_.get(), 1000);  // another program, or this one, may just be closing it
        database_.execute("PRAGMA locking_mode=EXCLUSIVE");
        create();
        set_journal_mode(log);
        // Memory for pages is bounded; the table of occurrences overflows into a file of its own.
        database_.execute("PRAGMA cache_size=-32768; PRAGMA temp.cache_size=-16384");
        begin_version(version, log);
        merge();
        find_ = Statement{database_, "SELECT value FROM outcomes WHERE id = ?"};
        keep_ = Statement{database_, "INSERT INTO fresh VALUES (?, ?)"};
        keep_named_ = Statement{database_, "INSERT OR REPLACE INTO outcomes VALUES (?, ?)"};
        see_ = Statement{database_, "INSERT OR IGNORE INTO seen VALUES (?, 0)"};
        see_again_ = Statement{database_, "UPDATE seen SET before = before + 1 WHERE id = ? RETURNING before"};
    }

    const SipHash::Key& hash_key() const noexcept { return hash_key_; }

    Transaction begin() const { return Transaction{database_}; }

    /// Within a transaction: sets the occurrence of this work, and its value if there is one.
    void find(StoredValue& value) {
        if (!value.id.has_key) {
            const Key key{{value.id.hash, 0, true}};
            see_.bind(1, key.bytes()).run();
            if (sqlite3_changes(database_.get()) == 0) {
                if (see_again_.bind(1, key.bytes()).step())
                    value.id.occurrence = static_cast<std::uint32_t>(see_again_.number(0));
                see_again_.run();
            }
        }
        const Key key{value.id};
        find_.bind(1, key.bytes());
        value.is_kept = find_.step();
        if (value.is_kept) {
            const auto found = find_.bytes(0);
            value.bytes.append(found.data(), found.size());
        }
        find_.reset();
    }

    /// Within a transaction.
    void keep(const StoredValue& value) {
        const Key key{value.id};
        // A key may come again in this run.
        Statement& statement = value.id.has_key ? keep_named_ : keep_;
        statement.bind(1, key.bytes()).bind(2, value.bytes.view()).run();
    }

private:
    static constexpr const char* tables =
        "CREATE TABLE IF NOT EXISTS about (version TEXT NOT NULL, hash_key BLOB NOT NULL);"
        "INSERT INTO about SELECT '', randomblob(16) WHERE NOT EXISTS (SELECT * FROM about);"
        "CREATE TABLE IF NOT EXISTS outcomes (id BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS fresh (id BLOB NOT NULL, value BLOB NOT NULL);"
        "CREATE TEMP TABLE seen (id BLOB PRIMARY KEY, before INTEGER NOT NULL) WITHOUT ROWID;"
        "PRAGMA application_id=0x64776a6c;"
        "PRAGMA user_version=1";

    /// An id as it is stored: 16 bytes of hash, little-endian, then 4 of the occurrence unless it is zero.
    class Key {
    public:
        explicit Key(const StoredId& id) noexcept {
            add(id.hash[0]);
            add(id.hash[1]);
            if (id.occurrence != 0 && !id.has_key) add(id.occurrence);
        }
        std::span<const std::byte> bytes() const noexcept { return std::span{bytes_}.first(size_); }

    private:
        template <class Unsigned>
        void add(Unsigned number) noexcept {
            store(bytes_.data() + size_, number);
            size_ += sizeof number;
        }
        std::array<std::byte, 20> bytes_{};
        std::size_t size_ = 0;
    };

    static std::string checked(const std::string& path) {
        if (path.empty()) throw Error::with_text(Errc::bad_option, "Journal: the path is empty");
        return path;
    }

    std::int64_t pragma(const char* name) const {
        Statement statement{database_, std::string{"PRAGMA "} + name};
        return statement.step() ? statement.number(0) : 0;
    }

    /// All of it, or nothing: not through the write-ahead log, before which the file would be one of no kind.
    void create() const {
        Transaction transaction{database_, "BEGIN EXCLUSIVE"};
        check_kind();
        database_.execute(tables);
        transaction.commit();
    }

    void check_kind() const {
        std::error_code ignored;
        // A file of some bytes would also be a new database to SQLite.
        if (std::filesystem::file_size(database_.path(), ignored) == 0) return;
        if (pragma("application_id") != application_id) database_.fail("it is a file of another kind");
        if (pragma("user_version") != 1) database_.fail("a newer version of distwork wrote it");
    }

    void set_journal_mode(const Log& log) const {
        const bool is_remote = is_on_network(database_.path());
        Statement statement{database_, is_remote ? "PRAGMA journal_mode=DELETE" : "PRAGMA journal_mode=WAL"};
        const bool has_log = statement.step() && statement.text(0) == "wal";
        statement.run();
        if (!has_log)
            log(LogLevel::warning, escaped("journal " + database_.path() +
                                           (is_remote ? ": it is on a network file system"
                                                      : ": its file system allows no write-ahead log") +
                                           ", so outcomes are kept more slowly"));
        database_.execute("PRAGMA synchronous=FULL");  // a commit survives the end of the machine
    }

    void begin_version(std::string_view version, const Log& log) {
        Statement about{database_, "SELECT version, hash_key FROM about"};
        if (!about.step()) database_.fail("it has no version");
        const std::string before = about.text(0);
        const auto key = about.bytes(1);
        if (key.size() != sizeof hash_key_) database_.fail("it has no hash key");
        hash_key_ = {load<std::uint64_t>(key.data()), load<std::uint64_t>(key.data() + sizeof(std::uint64_t))};
        about.reset();
        if (before == version) return;
        Transaction transaction{database_};
        const int before_changes = sqlite3_total_changes(database_.get());
        database_.execute("DELETE FROM outcomes; DELETE FROM fresh");
        const bool had_any = sqlite3_total_changes(database_.get()) != before_changes;
        Statement{database_, "UPDATE about SET version = ?"}.bind(1, version).run();
        transaction.commit();
        if (had_any)
            log(LogLevel::info, escaped("journal " + database_.path() + ": it had outcomes of version \"" + before +
                                        "\", which are dropped: this is version \"" + std::string{version} + '"'));
    }

    void merge() const {
        Transaction transaction{database_};
        database_.execute("INSERT OR REPLACE INTO outcomes SELECT id, value FROM fresh ORDER BY id; DELETE FROM fresh");
        transaction.commit();
    }

    Database database_;
    SipHash::Key hash_key_{};
    Statement find_{};
    Statement keep_{};
    Statement keep_named_{};
    Statement see_{};
    Statement see_again_{};
};

}  // namespace distwork::detail
