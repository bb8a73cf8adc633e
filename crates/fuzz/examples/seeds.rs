//! Writes every target's seeds into the corpus (`fuzz/corpus`, or the folder that is named): the files
//! `seed-N` there, and no others, are this program's.
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder =
        std::env::args_os().nth(1).map_or_else(|| PathBuf::from("fuzz/corpus"), PathBuf::from);
    for entry in andon_fuzz::ALL {
        let folder = folder.join(entry.name);
        std::fs::create_dir_all(&folder)?;
        for file in std::fs::read_dir(&folder)? {
            let file = file?;
            if file.file_name().to_string_lossy().starts_with("seed-") {
                std::fs::remove_file(file.path())?;
            }
        }
        for (at, bytes) in (entry.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{at}")), bytes)?;
        }
    }
    Ok(())
}
