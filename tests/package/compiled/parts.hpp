#pragma once

#include <asio/io_context.hpp>
#include <cstdint>
#include <distwork.hpp>
#include <memory>

int half(int value);   // registered by header_only.cpp
int twice(int value);  // registered by the shared library

int twice_by_own_selector(int value);  // asks a master of its own, in the shared library

/// A slave, made where the library is header-only.
std::shared_ptr<distwork::Slave<>> make_slave(asio::io_context& io, std::uint16_t port);
