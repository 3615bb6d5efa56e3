// defines: the formats that a model can be written in
#pragma once

#include <nlohmann/json.hpp>

#include "tools/export/export_model.hpp"

namespace ptrain::exports {

// Each writes the file as a whole or not at all. Images are to be preprocessed by the caller, as keras.applications' preprocess_input does
// for that net; the ONNX model does it itself.
void write_keras(const ExportModel&, const std::filesystem::path& to);          // .keras: load_model
void write_keras_weights(const ExportModel&, const std::filesystem::path& to);  // .weights.h5: load_weights, into the model of write_keras
void write_keras_h5(const ExportModel&, const std::filesystem::path& to);       // legacy .h5: load_model
void write_onnx(const ExportModel&, const std::filesystem::path& to);           // opset 17

// What the formats of Keras share.

constexpr char kKerasVersion[] = "3.15.1";  // whose spelling of configurations is written

// The model as a functional model of Keras.
nlohmann::json keras_config(const ExportModel&);

// An HDF5 file that is filled through the library and becomes `to` at the end.
void write_hdf5(const std::filesystem::path& to, const std::function<void(hid_t file)>& fill);
// Fills it as model.save_weights("x.weights.h5") does.
void fill_weights_h5(const ExportModel&, hid_t file);
hdf5::Handle make_group(hid_t at, const std::string& name);
void make_dataset(hid_t at, const std::string& name, const ExportWeight&);
void set_attribute(hid_t at, const std::string& name, const Attribute& value);

}  // namespace ptrain::exports
