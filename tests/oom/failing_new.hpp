#pragma once

#include <cstddef>
#include <string>

// Memory that lacks when a test says so: this program's operator new fails the allocations of the library, and no others.
// Whose an allocation is, says its stack: the innermost function that is neither the standard library's, nor Asio's, nor
// cereal's. The simulator's own and the test's own never fail.

namespace failing_new {

enum class Whose { library, other, asio };

/// Counts all allocations from now on, from 1, on all threads.
void count();

/// Likewise; those from number `first` on fail, until `most` of the library's have failed.
void fail(std::size_t first, std::size_t most);

/// Neither counts nor fails any more.
void rest();

/// What was allocated since.
std::size_t counted();
std::size_t failed();

/// Whose each of the first `most` allocations is, of those counted from now on.
void classify(std::size_t most);
Whose whose(std::size_t number);

/// The stack of the last one that failed, for people.
std::string last_stack();

}  // namespace failing_new
