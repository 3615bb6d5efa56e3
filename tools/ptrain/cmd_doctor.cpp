// ptrain doctor: what this machine has, and what ptrain can do with it.
#include <dlfcn.h>
#include <sys/utsname.h>

#include <fstream>
#include <iostream>
#include <thread>

#include <dnnl.h>
#include <nlohmann/json.hpp>

#include "data/free_memory.hpp"
#include "layers/weight_file.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/train_options.hpp"

namespace ptrain::cli {
namespace {

struct DoctorOptions {
  std::string data, weights;
  bool json = false;
};

using Json = nlohmann::ordered_json;

std::string field_of(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name)) {
      const size_t at = line.find(':');
      return at == std::string::npos ? "" : line.substr(std::min(line.size(), at + 2));
    }
  return "";
}

Json processor() {
  const std::string flags = " " + field_of("/proc/cpuinfo", "flags") + " ";
  std::vector<std::string> sets;
  for (const char* set : {"avx2", "fma", "avx512f", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_bf16"})
    if (flags.find(std::string(" ") + set + " ") != std::string::npos) sets.emplace_back(set);
  return {{"name", field_of("/proc/cpuinfo", "model name")},
          {"processors", std::thread::hardware_concurrency()},
          {"usable", choose_threads(0)},
          {"instruction_sets", sets}};
}

// A shared library: its version when `call` gives one, or why it cannot be used.
Json library(const char* file, const std::function<std::string(void*)>& call) {
  void* handle = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
  if (!handle) return {{"found", false}, {"why", dlerror()}};
  Json j{{"found", true}};
  const std::string said = call(handle);
  if (!said.empty()) j["says"] = said;
  dlclose(handle);
  return j;
}

Json cuda() {
  Json j;
  j["driver"] = library("libcuda.so.1", [](void* h) -> std::string {
    using Init = int (*)(unsigned);
    using Count = int (*)(int*);
    const auto init = reinterpret_cast<Init>(dlsym(h, "cuInit"));
    const auto count = reinterpret_cast<Count>(dlsym(h, "cuDeviceGetCount"));
    if (!init || !count) return "not a CUDA driver";
    if (const int e = init(0); e != 0) return fmt::format("cuInit gives error {}: no GPU that it can use", e);
    int n = 0;
    count(&n);
    return fmt::format("{} GPU{}", n, n == 1 ? "" : "s");
  });
  j["cudnn"] = library("libcudnn.so.9", [](void* h) -> std::string {
    const auto version = reinterpret_cast<size_t (*)()>(dlsym(h, "cudnnGetVersion"));
    return version ? fmt::format("version {}", version()) : "";
  });
  j["cublas"] = library("libcublas.so.13", [](void*) { return std::string(); });
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  std::string nvcc;
  for (std::string folder; nvcc.empty() && std::getline(folders, folder, ':');)
    if (std::filesystem::exists(std::filesystem::path(folder) / "nvcc")) nvcc = (std::filesystem::path(folder) / "nvcc").string();
  j["toolkit"] = nvcc.empty() ? Json{{"found", false}, {"why", "no nvcc on the PATH"}} : Json{{"found", true}, {"says", nvcc}};
  return j;
}

Json data_at(const std::string& folder) {
  try {
    const Manifest m = read_folder(folder);
    Json j{{"found", true}, {"images", m.entries.size()}, {"classes", m.classes}};
    for (const Part part : {Part::train, Part::val, Part::test, Part::all})
      if (const size_t n = m.of(part).size()) j[str(part)] = n;
    return j;
  } catch (const Error& e) {
    return {{"found", false}, {"why", e.what()}};
  }
}

Json weights_at(const std::string& file) {
  try {
    const WeightFileReader reader(file);
    Json j{{"found", true}, {"tensors", reader.tensors().size()}};
    if (reader.has_attribute("net")) j["net"] = reader.text("net");
    return j;
  } catch (const Error& e) {
    return {{"found", false}, {"why", e.what()}};
  }
}

void print(const Json& j, int depth) {
  for (const auto& [key, value] : j.items()) {
    if (value.is_object()) {
      std::cout << std::string(size_t(depth * 2), ' ') << key << "\n";
      print(value, depth + 1);
    } else {
      std::cout << std::string(size_t(depth * 2), ' ') << fmt::format("{:<18}", key)
                << (value.is_string() ? value.get<std::string>() : value.dump()) << "\n";
    }
  }
}

void run(const DoctorOptions& o) {
  utsname system{};
  uname(&system);
  const dnnl_version_t* onednn = dnnl_version();
  const FreeMemory free = measure_free_memory(std::filesystem::temp_directory_path());
  Json j{{"ptrain", version()},
         {"system", fmt::format("{} {} {}", system.sysname, system.release, system.machine)},
         {"processor", processor()},
         {"memory", {{"total", field_of("/proc/meminfo", "MemTotal")}, {"available", str_bytes(free.ram)}}},
         {"onednn", fmt::format("{}.{}.{}", onednn->major, onednn->minor, onednn->patch)},
         {"cuda", cuda()}};
  if (!o.data.empty()) j["data"] = data_at(o.data);
  if (!o.weights.empty()) j["weights"] = weights_at(o.weights);
  if (o.json) std::cout << j.dump(2) << "\n";
  else print(j, 0);
}

}  // namespace

std::unique_ptr<Command> doctor_command(CLI::App& program) {
  auto command = std::make_unique<Command>(
      program, "doctor", "say what this machine has: processor, memory, oneDNN, CUDA; and whether data and weights can be read",
      "  ptrain doctor\n"
      "  ptrain doctor --data chest_xray --weights mobilenet_v2.h5");
  const auto o = std::make_shared<DoctorOptions>();
  command->option("--data", o->data, "look whether this folder can be read")->option_text("DIR");
  command->option("--weights", o->weights, "look whether this weight file can be read")->option_text("FILE.h5");
  command->flag("--json", o->json, "write JSON to stdout");
  command->run = [o] { run(*o); };
  return command;
}

}  // namespace ptrain::cli
