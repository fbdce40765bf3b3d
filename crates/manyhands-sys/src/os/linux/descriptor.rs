//! poll(2), sendmsg(2) with SCM_RIGHTS, fcntl(2).
