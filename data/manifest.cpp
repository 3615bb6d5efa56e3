#include "data/manifest.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include <fmt/ranges.h>

#include "data/listing.hpp"
#include "kernels/error.hpp"

namespace ptrain {
namespace fs = std::filesystem;
namespace {

constexpr Part kParts[] = {Part::train, Part::val, Part::test};

template <class... Why>
[[noreturn]] void refuse(const fs::path& dir, const Why&... why) {
  fail(ErrorKind::data, "reading the data folder ", dir.string(), ": ", why...);
}

// A part of the folder as it lies on the disk. Paths are below the part.
struct PartFolder {
  Part part;
  std::string prefix;  // "train/", or nothing
  std::map<std::string, std::vector<std::string>> classes;
  std::vector<std::string> others;

  size_t images() const {
    size_t n = 0;
    for (const auto& [name, files] : classes) n += files.size();
    return n;
  }
};

std::string joined(const std::vector<std::string>& names) { return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")); }

std::vector<std::string> class_names(const PartFolder& folder) {
  std::vector<std::string> names;
  for (const auto& [name, files] : folder.classes) names.push_back(name);
  return names;
}

PartFolder read_part(const fs::path& dir, Part part) {
  PartFolder folder{part, part == Part::all ? "" : std::string(str(part)) + "/", {}, {}};
  int loose = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir / folder.prefix)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && !name.starts_with('.')) {
      std::vector<std::string> others;
      folder.classes[name] = list_images(entry.path(), &others);
      for (const std::string& other : others) folder.others.push_back(folder.prefix + name + "/" + other);
    } else if (!entry.is_directory() && is_image_name(name)) {
      ++loose;
    }
  }
  if (loose > 0 && folder.images() == 0)
    refuse(dir, (dir / folder.prefix).string(), " holds ", loose,
           " images and no class folders with images; put them into one folder for each class");
  return folder;
}

std::vector<PartFolder> read_parts(const fs::path& dir, std::vector<std::string>& notes) {
  std::vector<PartFolder> parts;
  for (Part part : kParts) {
    if (!fs::is_directory(dir / str(part))) continue;
    PartFolder folder = read_part(dir, part);
    if (folder.images() > 0) parts.push_back(std::move(folder));
    else notes.push_back(concat(str(part), "/ holds no images and counts as absent"));
  }
  if (parts.empty() && notes.empty()) parts.push_back(read_part(dir, Part::all));
  size_t images = 0;
  for (const PartFolder& folder : parts) images += folder.images();
  if (images == 0)
    refuse(dir,
           "there are no images (.jpg, .jpeg, .png, .bmp, .gif) in it; give the folder that holds train/, val/ and test/, or one folder "
           "for each class");
  return parts;
}

void check_classes(const fs::path& dir, const std::vector<PartFolder>& parts, std::vector<std::string>& notes) {
  const std::vector<std::string> classes = class_names(parts[0]);
  const std::string where = (dir / parts[0].prefix).string();
  if (classes.size() < 2) {
    const fs::path only = dir / parts[0].prefix / joined(classes);
    const bool too_high = fs::is_directory(only / "train") || fs::is_directory(only / "test");
    refuse(dir, where, " has ", classes.size(), " class folder (", joined(classes), "); at least two classes are wanted, a folder for each",
           too_high ? "; did you mean " + only.string() + "?" : "");
  }
  for (const PartFolder& folder : parts) {
    if (class_names(folder) != classes)
      refuse(dir, "the parts have different classes; ", where, ": ", joined(classes), "; ", (dir / folder.prefix).string(), ": ",
             joined(class_names(folder)), "; give every part the same class folders");
    for (const auto& [name, files] : folder.classes) {
      if (!files.empty()) continue;
      if (folder.part == Part::train || folder.part == Part::all)
        refuse(dir, "the class folder ", folder.prefix, name, " holds no images; add some or remove the folder");
      notes.push_back(concat(folder.prefix, name, " holds no images"));
    }
  }
}

}  // namespace

const char* str(Part part) {
  switch (part) {
    case Part::all: return "all";
    case Part::train: return "train";
    case Part::val: return "val";
    case Part::test: return "test";
    case Part::unused: return "unused";
  }
  return "?";
}

Part parse_part(const std::string& text) {
  for (Part part : {Part::all, Part::train, Part::val, Part::test, Part::unused})
    if (text == str(part)) return part;
  fail(ErrorKind::usage, "'", text, "' is not a part of a data set; it is one of all, train, val, test, unused");
}

bool is_image_name(const std::string& file_name) {
  std::string lower = file_name;
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  for (const char* extension : {".jpeg", ".jpg", ".png", ".bmp", ".gif"})
    if (lower.ends_with(extension)) return true;
  return false;
}

std::vector<std::string> list_images(const fs::path& dir, std::vector<std::string>* others) {
  // Keras sorts the folders by their whole path, then the names in each.
  std::vector<std::pair<std::string, std::string>> found;
  const auto look = [&](const auto& self, const fs::path& folder, const std::string& prefix) -> void {
    std::vector<std::string> below;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (entry.is_directory()) {
        if (!entry.is_symlink()) below.push_back(name);
      } else if (is_image_name(name)) {
        found.emplace_back(prefix, name);
      } else if (others) {
        others->push_back(prefix + name);
      }
    }
    for (const std::string& name : below) self(self, folder / name, prefix + name + "/");
  };
  try {
    look(look, dir, "");
  } catch (const fs::filesystem_error& e) {
    fail(ErrorKind::data, "listing the images in ", dir.string(), ": ", e.code().message(), ": ", e.path1().string(),
         "; check the path and its permissions");
  }
  // Without the '/' at its end, which would sort "a/b" behind "a-b".
  const auto key = [](const auto& file) {
    const std::string_view folder = file.first, name = file.second;
    return std::pair(folder.substr(0, std::max<size_t>(folder.size(), 1) - 1), name);
  };
  std::sort(found.begin(), found.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  if (others) std::sort(others->begin(), others->end());
  std::vector<std::string> files;
  for (const auto& [prefix, name] : found) files.push_back(prefix + name);
  return files;
}

std::vector<int64_t> Manifest::of(Part part) const {
  std::vector<int64_t> indices;
  for (size_t i = 0; i < entries.size(); ++i)
    if (entries[i].part == part) indices.push_back(int64_t(i));
  return indices;
}

std::vector<int64_t> Manifest::class_counts(std::span<const int64_t> indices) const {
  std::vector<int64_t> counts(classes.size());
  for (int64_t i : indices) ++counts[size_t(entries.at(size_t(i)).label)];
  return counts;
}

Manifest read_folder(const fs::path& dir, const PatientRule& patients) {
  std::error_code ignored;
  if (!fs::exists(dir, ignored)) refuse(dir, "there is no such folder; check the path");
  if (!fs::is_directory(dir, ignored))
    refuse(dir, "this is a file; give the folder that holds train/, val/ and test/, or one folder for each class");

  Manifest manifest;
  manifest.root = dir;
  std::vector<PartFolder> parts;
  try {
    parts = read_parts(dir, manifest.notes);
  } catch (const fs::filesystem_error& e) {
    refuse(dir, e.code().message(), ": ", e.path1().string(), "; check its permissions");
  }
  check_classes(dir, parts, manifest.notes);
  manifest.classes = class_names(parts[0]);

  std::vector<std::string> files, others;
  for (const PartFolder& folder : parts) {
    for (size_t label = 0; label < manifest.classes.size(); ++label)
      for (const std::string& file : folder.classes.at(manifest.classes[label])) {
        files.push_back(folder.prefix + manifest.classes[label] + "/" + file);
        manifest.entries.push_back({files.back(), int32_t(label), "", folder.part});
      }
    others.insert(others.end(), folder.others.begin(), folder.others.end());
  }
  if (files.size() > size_t(std::numeric_limits<int32_t>::max())) refuse(dir, files.size(), " images; the limit is 2^31 − 1");
  if (!others.empty())
    manifest.notes.push_back(concat(others.size(), " files are not .jpg, .jpeg, .png, .bmp or .gif and are left out:", listing(others, 5)));
  const std::vector<std::string> keys = patients_of(files, patients);
  for (size_t i = 0; i < keys.size(); ++i) manifest.entries[i].patient = keys[i];
  return manifest;
}

}  // namespace ptrain
