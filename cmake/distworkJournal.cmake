# distwork::journal, for those who include <distwork/journal.hpp>: the library, and SQLite, where that is found. Used by the
# project and by the installed package. Sets `distwork_journal_FOUND`, and else `distwork_journal_missing`, a sentence.
find_package(SQLite3 3.35 QUIET)
set(distwork_journal_FOUND ${SQLite3_FOUND})
if(NOT distwork_journal_FOUND)
  set(distwork_journal_missing "SQLite (3.35 or later) is not found. Debian, Ubuntu: apt install libsqlite3-dev")
elseif(NOT TARGET distwork::journal)
  add_library(distwork::journal INTERFACE IMPORTED)
  target_link_libraries(distwork::journal INTERFACE distwork::distwork SQLite::SQLite3)
endif()
