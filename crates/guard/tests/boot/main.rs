//! The real guard on a state folder, without a virtual machine: what it decides, writes, allows and says.
//! Kernel modules and crashes of a whole host are played by `./x july19`.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
mod bench;
mod boots;
