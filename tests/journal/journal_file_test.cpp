// The file of a Journal: what is refused, and what is left of it after a crash.

#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>
#include <distwork/journal.hpp>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <distwork/journal/file_system.hpp>
#include <distwork/journal/journal_file.hpp>
#include <filesystem>
#include <string>
#include <string_view>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/folder.hpp"

using namespace distwork;

namespace journal_file_test {

namespace {

using detail::JournalFile;
using detail::StoredValue;

StoredValue value_of(std::uint64_t number, std::string_view text = {}) {
    StoredValue value;
    value.id.hash = {number, ~number};
    const auto bytes = support::bytes_of(text);
    value.bytes.append(bytes.data(), bytes.size());
    return value;
}

/// A value that says whose it is.
std::string text_of(std::uint64_t number) {
    return std::string(number % 300, 'x') + std::to_string(number);
}

void keep(JournalFile& file, std::uint64_t number) {
    file.keep(value_of(number, text_of(number)));
}

/// Whether the file has it. A value that is another's fails the test.
bool has(JournalFile& file, std::uint64_t number) {
    StoredValue value = value_of(number);
    file.find(value);
    const std::string expected = text_of(number);
    if (value.is_kept) REQUIRE(support::equal(value.bytes.view(), support::bytes_of(expected)));
    return value.is_kept;
}

/// What opening it says; empty if it opens.
std::string refusal(const std::string& path) {
    try {
        const Journal journal{path, {}, NoLog{}};
    } catch (const Error& error) {
        CHECK(error.code() == Errc::journal_failed);
        return error.what();
    }
    return {};
}

void execute(const std::string& path, const char* sql) {
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
    REQUIRE(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(database);
}

}  // namespace

TEST_CASE("a journal has what was kept when it is opened again") {
    const support::Folder folder;
    const std::string path = folder / "journal.db";
    for (std::uint64_t run = 0; run != 3; ++run) {
        JournalFile file{path, "1", NoLog{}};
        for (std::uint64_t i = 0; i != 100 * run; ++i) REQUIRE(has(file, i));
        REQUIRE_FALSE(has(file, 100 * run));
        auto transaction = file.begin();
        for (std::uint64_t i = 0; i != 100; ++i) keep(file, 100 * run + i);
        transaction.commit();
    }
}

TEST_CASE("a journal of another version begins anew, and says so") {
    const support::Folder folder;
    const std::string path = folder / "journal.db";
    std::string said;
    const Log log = [&said](LogLevel, std::string_view line) { said += line; };
    {
        JournalFile file{path, "1", log};
        keep(file, 1);
    }
    {
        JournalFile file{path, "1", log};
        CHECK(has(file, 1));
        keep(file, 2);
        CHECK(said.empty());
    }
    {
        JournalFile file{path, "2", log};
        CHECK(said.find("outcomes of version \"1\", which are dropped: this is version \"2\"") != std::string::npos);
        CHECK_FALSE(has(file, 1));
        CHECK_FALSE(has(file, 2));
        keep(file, 3);
    }
    JournalFile file{path, "2", log};
    CHECK(has(file, 3));
}

TEST_CASE("a transaction of a journal that is not committed is not kept") {
    const support::Folder folder;
    JournalFile file{folder / "journal.db", {}, NoLog{}};
    {
        const auto transaction = file.begin();
        keep(file, 1);
    }
    CHECK_FALSE(has(file, 1));
}

TEST_CASE("a journal keeps empty values and large ones") {
    const support::Folder folder;
    const std::string path = folder / "journal.db";
    const std::string large(20'000'000, 'y');
    {
        JournalFile file{path, {}, NoLog{}};
        file.keep(value_of(1));
        file.keep(value_of(2, large));
    }
    JournalFile file{path, {}, NoLog{}};
    StoredValue empty = value_of(1);
    file.find(empty);
    CHECK(empty.is_kept);
    CHECK(empty.bytes.size() == 0);
    StoredValue value = value_of(2);
    file.find(value);
    CHECK(value.bytes.size() == large.size());
}

TEST_CASE("a journal refuses a path where there is none") {
    const support::Folder folder;
    CHECK(refusal(folder / "none/journal.db").find("unable to open") != std::string::npos);
    CHECK(refusal(folder.path()).find("unable to open") != std::string::npos);
    try {
        const Journal journal{""};
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.code() == Errc::bad_option);
    }
}

TEST_CASE("a journal refuses files of another kind, and leaves them as they are") {
    const support::Folder folder;
    for (const std::string& text : {std::string{"x"}, std::string(5000, 'x')}) {
        support::write_file(folder / "text", text);
        CHECK(refusal(folder / "text").find("it is a file of another kind") != std::string::npos);
        CHECK(support::contents(folder / "text") == text);
    }

    execute(folder / "other.db", "CREATE TABLE outcomes (id, value); INSERT INTO outcomes VALUES (1, 2)");
    const std::string before = support::contents(folder / "other.db");
    CHECK(refusal(folder / "other.db").find("it is a file of another kind") != std::string::npos);
    CHECK(support::contents(folder / "other.db") == before);

    CHECK(refusal(folder / "newer.db").empty());
    execute(folder / "newer.db", "PRAGMA user_version=2");
    CHECK(refusal(folder / "newer.db").find("a newer version of distwork wrote it") != std::string::npos);
}

TEST_CASE("a journal takes an empty file") {
    const support::Folder folder;
    support::write_file(folder / "journal.db", {});
    CHECK(refusal(folder / "journal.db").empty());
    CHECK(refusal(folder / "journal.db").empty());
}

// The bytes that a file may have stand for what the disk has when the machine ends, or for what it has room for.
TEST_CASE("a journal whose creation failed at whatever byte can be created again") {
    const auto child = support::run_child([](const auto&) {
        const support::Folder folder;
        signal(SIGXFSZ, SIG_IGN);
        rlimit all{};
        getrlimit(RLIMIT_FSIZE, &all);
        int failed = 0;
        for (rlim_t most = 0; most < 40'000; most += 1000) {
            const std::string path = folder / std::to_string(most);
            const rlimit few{most, all.rlim_max};
            setrlimit(RLIMIT_FSIZE, &few);
            failed += refusal(path).empty() ? 0 : 1;
            setrlimit(RLIMIT_FSIZE, &all);
            if (const std::string said = refusal(path); !said.empty()) std::puts(said.c_str());
        }
        std::printf("%d failed\n", failed);
        std::fflush(stdout);
    });
    CHECK(child.status == 0);
    CHECK(child.out.find(" failed\n") <= 2);
    CHECK(child.out != "0 failed\n");
}

TEST_CASE("a journal refuses a file that cannot be written") {
    const auto child = support::run_child([](const auto&) {
        const support::Folder folder;
        const std::string path = folder / "journal.db";
        CHECK(refusal(path).empty());
        const auto permit = [&](unsigned of_file, unsigned of_folder) {
            std::filesystem::permissions(path, std::filesystem::perms{of_file});
            std::filesystem::permissions(folder.path(), std::filesystem::perms{of_folder});
        };
        permit(0444, 0555);
        const uid_t user = geteuid();
        if (user == 0) REQUIRE(seteuid(65534) == 0);  // root may write everything
        const std::string said = refusal(path);
        if (user == 0) REQUIRE(seteuid(0) == 0);
        permit(0644, 0755);
        std::fputs(said.c_str(), stdout);
        std::fflush(stdout);
    });
    CHECK(child.status == 0);
    CHECK(child.out.ends_with("journal.db: it cannot be written"));
}

TEST_CASE("a journal belongs to one object of one program at a time") {
    const support::Folder folder;
    const std::string path = folder / "journal.db";
    {
        const Journal journal{path};
        const Journal copy = journal;  // is the same
        CHECK(refusal(path) == "journal " + path + ": another program uses it");
        setenv("DISTWORK_TEST_JOURNAL", path.c_str(), 0);  // a child has that of its parent
        const auto child = support::run_child([](const auto&) {
            std::fputs(refusal(std::getenv("DISTWORK_TEST_JOURNAL")).c_str(), stdout);
            std::fflush(stdout);
        });
        unsetenv("DISTWORK_TEST_JOURNAL");
        CHECK(child.out == "journal " + path + ": another program uses it");
    }
    CHECK(refusal(path).empty());
}

namespace {

constexpr std::uint64_t values_of_commit = 10;

/// The commits that a file has after its program was killed. All values of each must be there, and of none that follow.
std::uint64_t commits_of(const std::string& path, std::uint64_t at_most) {
    JournalFile file{path, {}, NoLog{}};
    std::uint64_t found = 0;
    while (found != at_most * values_of_commit && has(file, found)) ++found;
    REQUIRE(found % values_of_commit == 0);
    for (std::uint64_t i = found; i != at_most * values_of_commit; ++i) REQUIRE_FALSE(has(file, i));
    return found / values_of_commit;
}

}  // namespace

TEST_CASE("a torn write-ahead log is recovered to one of its commits") {
    const support::Folder folder;
    const std::string path = folder / "journal.db";
    setenv("DISTWORK_TEST_JOURNAL", path.c_str(), 0);
    constexpr std::uint64_t commits = 400;  // the log begins anew after some 1,000 pages
    const auto child = support::run_child([](const auto&) {
        JournalFile file{std::getenv("DISTWORK_TEST_JOURNAL"), {}, NoLog{}};
        for (std::uint64_t commit = 0; commit != commits; ++commit) {
            auto transaction = file.begin();
            for (std::uint64_t i = 0; i != values_of_commit; ++i) keep(file, commit * values_of_commit + i);
            transaction.commit();
        }
        kill(getpid(), SIGKILL);
    });
    unsetenv("DISTWORK_TEST_JOURNAL");
    REQUIRE(child.status == 128 + SIGKILL);
    const std::string database = support::contents(path);
    const std::string log = support::contents(path + "-wal");
    REQUIRE(log.size() > 100'000);

    std::uint64_t files = 0;
    const auto commits_with = [&](const std::string& torn) {
        const std::string copy = folder / std::to_string(++files);
        support::write_file(copy, database);
        support::write_file(copy + "-wal", torn);
        const std::uint64_t found = commits_of(copy, commits);
        std::filesystem::remove(copy);
        return found;
    };
    CHECK(commits_with(log) == commits);
    std::uint64_t before = 0;
    for (std::size_t size = 0; size < log.size(); size += log.size() / 40 + 17) {
        const std::uint64_t found = commits_with(log.substr(0, size));
        CHECK(found >= before);
        CHECK(found < commits);
        before = found;
    }
    CHECK(before > commits / 2);
    for (std::size_t at = 0; at < log.size(); at += log.size() / 40 + 13) {
        std::string flipped = log;
        flipped[at] = static_cast<char>(flipped[at] ^ 0x41);
        CHECK(commits_with(flipped) <= commits);
    }
}

TEST_CASE("file systems that may be on another machine are told apart") {
    CHECK(detail::is_network_file_system(0x6969));            // NFS
    CHECK(detail::is_network_file_system(0xff534d42));        // CIFS
    CHECK(detail::is_network_file_system(0x65735546));        // FUSE
    CHECK_FALSE(detail::is_network_file_system(0xef53));      // ext4
    CHECK_FALSE(detail::is_network_file_system(0x01021994));  // tmpfs
    CHECK_FALSE(detail::is_network_file_system(0x9123683e));  // Btrfs
    CHECK_FALSE(detail::is_network_file_system(0x58465342));  // XFS
    CHECK_FALSE(detail::is_network_file_system(0x794c7630));  // overlayfs

    const support::Folder folder;
    CHECK_FALSE(detail::is_on_network(folder / "none"));
}

}  // namespace journal_file_test
