#include "tests/tools/support/write_keras.hpp"

#include <zlib.h>

#include <map>

#include "layers/hdf5.hpp"

namespace ptrain::test {
namespace {

using hdf5::Handle;

Handle create_file(const std::filesystem::path& path) {
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
  REQUIRE_THAT(file, "creating ", path.string(), ": ", hdf5::last_error());
  return file;
}

Handle group(hid_t at, const std::string& name) { return {H5Gcreate2(at, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose}; }

void dataset(hid_t at, const std::string& name, const Shape& shape, size_t k) {
  std::vector<hsize_t> dims(shape.begin(), shape.end());
  std::vector<float> values(size_t(shape.size()), float(k + 1) / 1024);
  values[0] += 0.5f;
  const Handle space(H5Screate_simple(shape.rank(), dims.data(), nullptr), H5Sclose);
  const Handle made(H5Dcreate2(at, name.c_str(), H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
  REQUIRE_THAT(H5Dwrite(made, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0, "writing ", name);
}

void put(std::string& to, uint64_t v, int bytes) {
  for (int i = 0; i < bytes; ++i) to += char(v >> (8 * i) & 255);
}

}  // namespace

void write_legacy_h5(const std::filesystem::path& path, const convert::NetLayout& net) {
  const hdf5::Session session;
  const Handle file = create_file(path);
  std::vector<std::string> layers;
  for (const convert::LayoutLayer& l : net.layers) {
    const Handle g = group(file, l.name), inner = group(g, l.name);
    std::vector<std::string> weights;
    for (size_t k = l.first; k < l.first + l.count; ++k) {
      const std::string var = net.tensors[k].var == "depthwise_kernel" ? "kernel" : net.tensors[k].var;
      dataset(inner, var, net.tensors[k].shape, k);
      weights.push_back(l.name + "/" + var);
    }
    hdf5::write_attribute(g, "weight_names", weights);
    layers.push_back(l.name);
  }
  hdf5::write_attribute(file, "layer_names", layers);
  hdf5::write_attribute(file, "backend", "tensorflow");
  hdf5::write_attribute(file, "keras_version", "3.15.1");
}

void write_weights_h5(const std::filesystem::path& path, const convert::NetLayout& net) {
  const hdf5::Session session;
  const Handle file = create_file(path), layers = group(file, "layers");
  std::map<std::string, int> used;
  for (const convert::LayoutLayer& l : net.layers) {
    const int number = used[l.kind]++;
    const Handle g = group(layers, number == 0 ? l.kind : l.kind + "_" + std::to_string(number)), vars = group(g, "vars");
    hdf5::write_attribute(vars, "name", l.name);
    for (size_t k = l.first; k < l.first + l.count; ++k) dataset(vars, std::to_string(k - l.first), net.tensors[k].shape, k);
  }
}

std::string make_zip(const std::vector<ZipMember>& members) {
  std::string zip, directory;
  for (const ZipMember& m : members) {
    const uint32_t crc = m.crc ? m.crc : uint32_t(crc32(0, reinterpret_cast<const Bytef*>(m.data.data()), uInt(m.data.size())));
    const uint64_t size = m.claimed_size ? m.claimed_size : m.data.size(), offset = zip.size();
    std::string common;  // what the local header and the directory share
    put(common, 20, 2), put(common, m.flags, 2), put(common, m.method, 2), put(common, 0x00210000, 4), put(common, crc, 4);
    put(common, m.data.size(), 4), put(common, size, 4), put(common, m.name.size(), 2), put(common, 0, 2);
    put(zip, 0x04034b50, 4);
    zip += common + m.name + m.data;
    put(directory, 0x02014b50, 4), put(directory, 20, 2);
    directory += common;
    put(directory, 0, 2), put(directory, 0, 2), put(directory, 0, 2), put(directory, 0, 4), put(directory, offset, 4);
    directory += m.name;
  }
  const uint64_t at = zip.size();
  zip += directory;
  put(zip, 0x06054b50, 4), put(zip, 0, 4), put(zip, members.size(), 2), put(zip, members.size(), 2);
  put(zip, directory.size(), 4), put(zip, at, 4), put(zip, 0, 2);
  return zip;
}

}  // namespace ptrain::test
