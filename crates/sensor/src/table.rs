//! Who started whom: a bounded table of running programs, so that a rule can ask for the parent
//! even after the parent is gone or has become another program.
use crate::proc_fs;
use crate::source::Raw;
use andon_content::ProcessEvent;
use std::collections::HashMap;
use std::rc::Rc;

/// Most processes remembered. A full table is emptied: `/proc` fills it again as needed.
const PROCESSES_MAX: usize = 65_536;

/// A running program.
#[derive(Debug, Default)]
struct Program {
    image: String,
    command_line: String,
}

/// A process and who forked it, as that one was at the time.
#[derive(Debug)]
struct Process {
    program: Rc<Program>,
    parent: Option<(u32, Rc<Program>)>,
}

/// The table.
pub(crate) struct Table {
    processes: HashMap<u32, Process>,
    users: Vec<(u32, String)>,
}

impl Table {
    /// Empty, with the host's user names.
    pub(crate) fn new() -> Table {
        Table { processes: HashMap::new(), users: proc_fs::users() }
    }

    /// Reads the host's user names again.
    pub(crate) fn refresh_users(&mut self) {
        self.users = proc_fs::users();
    }

    /// Takes one event in; a program start comes out complete.
    pub(crate) fn take(&mut self, raw: Raw) -> Option<ProcessEvent> {
        match raw {
            Raw::Fork { parent, child } => {
                let program = self.program_of(parent);
                let process =
                    Process { program: Rc::clone(&program), parent: Some((parent, program)) };
                self.put(child, process);
                None
            }
            Raw::Exit { pid } => {
                self.processes.remove(&pid);
                None
            }
            Raw::Exec { pid, parent, uid, path, arguments } => {
                Some(self.exec(pid, parent, uid, path, &arguments))
            }
        }
    }

    fn exec(
        &mut self,
        pid: u32,
        parent_now: u32,
        uid: u32,
        path: String,
        arguments: &[u8],
    ) -> ProcessEvent {
        let forked_by = self.processes.remove(&pid).and_then(|process| process.parent);
        let (parent_pid, parent) =
            forked_by.unwrap_or_else(|| (parent_now, self.program_of(parent_now)));
        let image = proc_fs::image(pid).unwrap_or(path);
        let command_line = proc_fs::command_line(arguments);
        let program = Rc::new(Program { image: image.clone(), command_line: command_line.clone() });
        self.put(pid, Process { program, parent: Some((parent_pid, Rc::clone(&parent))) });
        ProcessEvent {
            image,
            command_line,
            parent_image: parent.image.clone(),
            parent_command_line: parent.command_line.clone(),
            user: self.user(uid),
            current_directory: proc_fs::current_directory(pid).unwrap_or_default(),
            pid,
            parent_pid,
            uid,
        }
    }

    fn program_of(&mut self, pid: u32) -> Rc<Program> {
        if let Some(process) = self.processes.get(&pid) {
            return Rc::clone(&process.program);
        }
        let program = Rc::new(Program {
            image: proc_fs::image(pid).unwrap_or_default(),
            command_line: proc_fs::arguments(pid)
                .map(|arguments| proc_fs::command_line(&arguments))
                .unwrap_or_default(),
        });
        if !program.image.is_empty() {
            self.put(pid, Process { program: Rc::clone(&program), parent: None });
        }
        program
    }

    fn put(&mut self, pid: u32, process: Process) {
        if self.processes.len() >= PROCESSES_MAX {
            self.processes.clear();
        }
        self.processes.insert(pid, process);
    }

    fn user(&self, uid: u32) -> String {
        match self.users.binary_search_by_key(&uid, |(uid, _)| *uid) {
            Ok(at) => self.users[at].1.clone(),
            Err(_) => uid.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(pid: u32, parent: u32, command_line: &str) -> Raw {
        let arguments = command_line.replace(' ', "\0").into_bytes();
        Raw::Exec { pid, parent, uid: 0, path: format!("/bin/{pid}"), arguments }
    }

    // Process ids beyond the kernel's limit (4,194,304): /proc can know nothing of them.
    const FAR: u32 = 5_000_000;

    #[test]
    fn the_parent_is_who_forked_even_after_it_ended_or_became_another_program() {
        let mut table = Table::new();
        table.take(exec(FAR, 1, "shell -c job"));
        table.take(Raw::Fork { parent: FAR, child: FAR + 1 });
        table.take(exec(FAR, 1, "other"));
        table.take(Raw::Exit { pid: FAR });
        let event = table.take(exec(FAR + 1, 1, "job now")).unwrap();
        assert_eq!(event.parent_command_line, "shell -c job");
        assert_eq!((event.parent_pid, event.command_line.as_str()), (FAR, "job now"));
        assert_eq!(event.user, "root");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = Table::new();
        for pid in 0..200_000 {
            table.take(exec(FAR + pid, 1, "x"));
        }
        assert!(table.processes.len() <= PROCESSES_MAX);
    }
}
