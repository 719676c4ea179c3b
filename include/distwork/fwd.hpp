#pragma once

#include "base/requirements.hpp"

// Forward declarations, with the default template arguments.

namespace distwork {

class IWork;
class Context;
template <class R>
class RpcWork;
template <class R>
class CoroutineWork;

class Tcp;
class RoundRobin;
class LeastLoaded;
class PowerOfTwoChoices;
class AnySelector;
class DistributeContext;
struct SocketInformation;

template <class Selector = RoundRobin, class Transport = Tcp>
class Master;
template <class Transport = Tcp>
class Slave;

struct MasterOptions;
struct SlaveOptions;
class SubmitOptions;

}  // namespace distwork
