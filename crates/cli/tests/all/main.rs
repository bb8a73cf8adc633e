//! `andon` as a program: its command line, exit codes, JSON and refusals. One binary for all tests.
mod adopt;
mod common;
mod init;
mod online;
mod release;
mod usage;
