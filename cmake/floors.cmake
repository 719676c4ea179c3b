# Which header lives on which floor (include/distwork/NAME.hpp). A header includes only its own floor and those below
# it; `cmake -DCHECK=floors -P cmake/check_headers.cmake` refuses anything else, and headers that are not listed.

# words, and what may be used everywhere
set(FLOOR_0 version error no_retry fwd log
            detail/asio detail/cereal detail/completion detail/pause detail/probe detail/processors detail/requirements detail/split_mix detail/surely detail/type_name detail/console detail/log_queue detail/probing detail/type_growth detail/visibility)
# bytes
set(FLOOR_1 large_bytes byte_buffer archive archive_bytes archive_limits archive_pointers archive_polymorphic fingerprint frame frame_reader outbox handshake reply slave_state
            detail/fingerprint_archive detail/plain detail/polymorphic_types detail/scalars detail/shape detail/shape_hash detail/text_archives detail/travels)
# works
set(FLOOR_2 context work registry rpc_work function_work register call typed_call peer type_table introduction
            detail/call_check detail/function_traits)
# links
set(FLOOR_3 machine_load transport session session_host session_peer session_protocol session_writer inbox liveness call_table outgoing woken_writers deliveries
            work_batch
            work_slots work_queue work_executor detail/execution_list detail/execution_limits
            detail/received_works detail/work_reply detail/child_works detail/coroutine_slot detail/address_race detail/connect_first detail/native_socket detail/resolve)
# choice
set(FLOOR_4 socket_information submit_options submission in_flight ready_set socket_table capability backlog admission waiting_works waiting_report news
            recaller selector statistics dispatcher socket_container)
# roles
set(FLOOR_5 role_options distribution broadcast master slave
            detail/accepted_works detail/nested_submission detail/alarms detail/connector detail/drain detail/listener detail/master_core detail/no_slave_alarm detail/outcomes detail/reconnect detail/role_executor detail/run_once detail/session_set detail/submissions
            detail/slave_core detail/slave_waiters)
# conveniences on the roles
set(FLOOR_6)
# the simulation, beside the floors: it includes what it likes of those below it, and nothing else includes it
set(FLOOR_7 sim/random sim/timeline sim/operation sim/ready_queue sim/executor sim/host sim/timer sim/wire sim/endpoint
            sim/listener sim/network sim/transport sim/simulation)
