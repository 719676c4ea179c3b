# Takes the C++ blocks out of the pages, so that they are compiled. What stands behind ```cpp says what a block is:
#
#   ```cpp                a complete program, if it has a main; else statements, compiled as the body of a coroutine
#   ```cpp declarations   at global scope: classes, functions, registrations
#
# The statements and declarations of all pages are one file, behind tests/pages/prelude.hpp: a name is declared once on
# all pages, and may be used on each. #line has the compiler name the page and its line.

# Writes FOLDER/blocks.cpp, and FOLDER/program_N.cpp for each program, and sets `programs` to the paths of the latter. The
# pages are named relative to ROOT, so that a compiler cache serves any checkout.
function(distwork_extract_pages folder root)  # page…
  set(declarations "")
  set(statements "")
  set(programs "")
  set(number 0)
  foreach(page IN LISTS ARGN)
    file(READ "${root}/${page}" rest)
    set(line 1)
    while(1)
      string(FIND "${rest}" "\n```cpp" at)
      if(at EQUAL -1)
        break()
      endif()
      math(EXPR at "${at} + 1")
      _distwork_skip(${at})
      string(FIND "${rest}" "\n" at)
      string(SUBSTRING "${rest}" 0 ${at} fence)
      math(EXPR at "${at} + 1")
      _distwork_skip(${at})

      string(FIND "${rest}" "\n```" at)
      if(at EQUAL -1)
        message(FATAL_ERROR "${page}:${line}: the block does not end")
      endif()
      math(EXPR at "${at} + 1")
      string(SUBSTRING "${rest}" 0 ${at} block)
      set(block "#line ${line} \"${page}\"\n${block}")
      math(EXPR number "${number} + 1")
      if(block MATCHES "\nint main\\(")
        list(LENGTH programs before)
        math(EXPR program "${before} + 1")
        _distwork_write("${folder}/program_${program}.cpp" "${block}")
        list(APPEND programs "${folder}/program_${program}.cpp")
      elseif(fence STREQUAL "```cpp declarations")
        string(APPEND declarations "${block}\n")
      elseif(fence STREQUAL "```cpp")
        string(APPEND statements "[[maybe_unused]] static asio::awaitable<void> block_${number}() {\n    {\n"
          "${block}    }\n    co_return;\n}\n\n")
      else()
        message(FATAL_ERROR "${page}:${line}: ${fence} is none of ```cpp and ```cpp declarations")
      endif()
      _distwork_skip(${at})
      _distwork_skip(3)
    endwhile()
  endforeach()
  _distwork_write("${folder}/blocks.cpp" "#include \"pages/prelude.hpp\"\n\n${declarations}${statements}")
  set(programs "${programs}" PARENT_SCOPE)
endfunction()

# Takes the first characters from `rest`, and counts their lines.
macro(_distwork_skip count)
  string(SUBSTRING "${rest}" 0 ${count} skipped)
  string(SUBSTRING "${rest}" ${count} -1 rest)
  string(REGEX REPLACE "[^\n]" "" skipped "${skipped}")
  string(LENGTH "${skipped}" skipped)
  math(EXPR line "${line} + ${skipped}")
endmacro()

# A file that has the text already is not written again, and not compiled again.
function(_distwork_write file text)
  if(EXISTS "${file}")
    file(READ "${file}" before)
    if(before STREQUAL text)
      return()
    endif()
  endif()
  file(WRITE "${file}" "${text}")
endfunction()
