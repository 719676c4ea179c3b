# Which header lives on which floor (include/distwork/NAME.hpp). A header includes only its own floor and those below
# it; `cmake -DCHECK=floors -P cmake/check_headers.cmake` refuses anything else, and headers that are not listed.

# words, and what may be used everywhere
set(FLOOR_0 version error fwd log
            detail/asio detail/cereal detail/completion detail/type_name)
# bytes
set(FLOOR_1 byte_buffer archive archive_limits archive_pointers frame frame_reader outbox handshake reply
            detail/plain detail/scalars)
# works
set(FLOOR_2 fingerprint context work registry rpc_work function_work register call typed_call peer introduction
            detail/fingerprint_archive detail/shape)
# links
set(FLOOR_3 transport session call_table work_queue outgoing session_host work_executor)
# choice
set(FLOOR_4 socket_information ready_set selector socket_container backlog credit submit_options submission
            in_flight)
# roles
set(FLOOR_5 role_options distribution master slave
            detail/master_core detail/slave_core)
# conveniences on the roles
set(FLOOR_6)
